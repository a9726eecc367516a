"""An ordinary Flask application, under any WSGI server: three lines for the token, one to push."""

from __future__ import annotations

import secrets
import threading
import time

from flask import Flask, render_template, request, session
from flask.typing import ResponseReturnValue

from messageflow import Flow

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY
flow = Flow()  # MESSAGEFLOW_URL: the broker, so that no gateway has to be up


def current_user() -> str:
    name: str = session.setdefault("user", f"user-{secrets.token_hex(4)}")  # in place of your login
    return name


@app.get("/")
def page() -> str:
    return render_template("index.html", user=current_user())


@app.get("/socket_auth_token")
def socket_auth_token() -> dict[str, str]:
    return {"token": flow.token(current_user())}


@app.post("/send")
def send() -> ResponseReturnValue:
    message = request.form["message"].strip()[:500]
    if not message:
        return {"status": "ERROR", "data": "No message submitted"}, 400
    threading.Thread(target=work, args=(current_user(), message)).start()
    return {"status": "OK", "data": f"Working on: {message}"}


def work(user: str, message: str) -> None:
    time.sleep(0.5)  # a task that takes its time, long after the request has ended
    flow.later.push(user, "TASK DONE", f"Done with: {message}")  # waits for a broker that is away
