"""A Flask application whose background jobs report to the browser.

The page hands over a file; the request returns at once; a thread reads the file and pushes progress and result to the
user who sent it, in all his pages, long after the request has ended. Run it with `make demo`.

Logging in here means typing a name. That is no authentication: put your own in its place.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from threading import Thread

from flask import Flask, Response, abort, jsonify, render_template, request, session
from flask.typing import ResponseReturnValue
from reading import Summary, read

from messageflow import Flow

app = Flask(__name__)
app.config.update(
    # Made of the secret that messageflow keeps, so that sessions outlive a restart; use a secret of your own.
    SECRET_KEY=hashlib.sha256(b"flask sessions" + os.environ["MESSAGEFLOW_TOKEN_SECRET"].encode()).digest(),
    SESSION_COOKIE_SAMESITE="Lax",
)
flow = Flow()

PUSH_EVERY = 0.1  # seconds between two reports of progress; a page cannot show more


@app.get("/")
def page() -> str:
    return render_template("index.html", user=session.get("user"))


@app.post("/login")
def login() -> ResponseReturnValue:
    name = request.get_json().get("name", "").strip()
    if not 0 < len(name) <= 40 or name == "*" or not name.isprintable():
        return jsonify(status="error", message="A name has 1 to 40 letters."), 400
    session["user"] = name
    return jsonify(status="success", data={"user": name})


@app.get("/token")
def token() -> ResponseReturnValue:
    """What the page shows the gateway to prove whose messages it may hear."""
    return jsonify(token=flow.token(current_user()))


@app.post("/jobs")
def start_job() -> ResponseReturnValue:
    """Take a file and answer at once; the work goes on in a thread."""
    user, job = current_user(), secrets.token_hex(4)
    with tempfile.NamedTemporaryFile(delete=False) as copy:
        while piece := request.stream.read(1 << 20):
            copy.write(piece)
    name = request.args.get("name", "a file")[:200]
    Thread(target=work, args=(user, job, name, Path(copy.name)), daemon=True).start()
    return jsonify(status="success", data={"job": job})


def work(user: str, job: str, name: str, path: Path) -> None:
    """Read the file and push what comes of it. Nothing here knows about requests or sockets."""
    try:
        flow.push(user, "job/started", {"job": job, "name": name})
        summary, pushed = Summary(0), time.monotonic()
        for summary in read(path):
            if time.monotonic() - pushed >= PUSH_EVERY:
                pushed = time.monotonic()
                flow.push(user, "job/progress", {"job": job, "percent": summary.percent, "lines": summary.lines})
        flow.push(user, "job/done", {"job": job, "name": name, **asdict(summary)})
    except OSError as error:
        flow.push(user, "job/failed", {"job": job, "name": name, "reason": error.strerror})
    finally:
        path.unlink()


@app.post("/say")
def say() -> ResponseReturnValue:
    """Tell everybody who has the page open."""
    text = request.get_json().get("text", "").strip()[:500]
    if not text:
        return jsonify(status="error", message="There is nothing to say."), 400
    flow.broadcast("chat/said", {"user": current_user(), "text": text})
    return jsonify(status="success", data={})


def current_user() -> str:
    user: str = session.get("user") or abort(401)
    return user


@app.before_request
def refuse_other_sites() -> None:
    """A form on another site cannot set this header, so it cannot act for a user who is logged in here."""
    if request.method == "POST" and request.headers.get("X-Requested-With") != "flask-jobs":
        abort(403)


@app.after_request
def protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    return response
