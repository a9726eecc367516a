"""The update clock: Flask pushes `/update` to every page that is open, with the data in the message."""

from __future__ import annotations

import os
import secrets
import threading
import time

from flask import Flask, render_template, session

from messageflow import MessageflowError
from messageflow.integrations.flask import MessageFlow

EVERY = 5.0  # seconds

app = Flask(__name__)
app.secret_key = "yours; this one signs the cookie that gives each visitor a name"
messageflow = MessageFlow(app, user=lambda: session.setdefault("user", secrets.token_hex(8)))
latest: dict[str, object] = {}


@app.get("/")
def page() -> str:
    messageflow.mark_position()  # what is pushed from here on arrives, so `latest` may be read
    return render_template("page.html", latest=latest)


@app.post("/update")
def update() -> tuple[str, int]:
    measure()
    return "", 204


def measure() -> None:
    global latest
    latest = {"at": time.time(), "load": os.getloadavg()}
    messageflow.broadcast("/update", latest)


def measure_for_ever() -> None:
    while True:
        time.sleep(EVERY)
        try:
            measure()
        except MessageflowError as error:
            app.logger.warning("nobody was told: %s", error)


threading.Thread(target=measure_for_ever, daemon=True).start()
