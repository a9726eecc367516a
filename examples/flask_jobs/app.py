"""A Flask application whose background jobs report to the browser. Run it with `make demo`.

The page hands over a file; the request returns at once; a thread reads the file and pushes progress and result to the
user who sent it, in all their pages, long after the request has ended. The line that does it stands in `jobs.py`:

    flow.push(user, "job/progress", {"job": job, "percent": 40})

LOGGING IN HERE MEANS TYPING A NAME. THAT IS NO AUTHENTICATION: put your own in its place.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack

import network
from flask import Flask, Response, abort, jsonify, render_template, request, send_from_directory, session
from flask.typing import ResponseReturnValue
from jobs import Jobs
from werkzeug.exceptions import HTTPException

from messageflow import Flow

HERE = "people:here"  # the channel of everybody who has the page open

# Logins outlive a restart, because messageflow keeps this secret. Your application has one of its own.
secret = os.environ.get("MESSAGEFLOW_TOKEN_SECRET") or secrets.token_hex(32)

app = Flask(__name__)
app.config.update(
    SECRET_KEY=hashlib.sha256(b"logins" + secret.encode()).digest(),
    SESSION_COOKIE_NAME="flask_jobs",
    SESSION_COOKIE_SAMESITE="Lax",
)
app.register_blueprint(network.routes)
flow = Flow()
jobs = Jobs(flow)


@app.get("/")
def page() -> str:
    return render_template("index.html", user=session.get("user"), can_be_cut=network.can_be_cut())


@app.get("/source/<any('app.py', 'jobs.py'):name>")
def source(name: str) -> ResponseReturnValue:
    """Show the code of this page to whoever asks: it is an example."""
    return send_from_directory(app.root_path, name, mimetype="text/plain")


@app.post("/login")
def log_in() -> ResponseReturnValue:
    name = text_of("name", longest=40)
    if name == "*" or not name.isprintable():
        abort(400, "That is no name.")
    session["user"] = name
    return success(user=name)


@app.post("/logout")
def log_out() -> ResponseReturnValue:
    session.clear()
    return success()


@app.get("/token")
def token() -> ResponseReturnValue:
    """With this the page shows the gateway whose messages it may hear, and is counted among those who are here."""
    return jsonify(token=flow.token(current_user(), channels=[HERE]))


@app.post("/jobs")
def start_job() -> ResponseReturnValue:
    """Take a file, of any size, and answer at once; the work goes on in a thread."""
    user, name = current_user(), request.args.get("name", "a file")[:200]
    if request.content_length is None:
        abort(411, "Say how long the file is: Content-Length is missing.")
    with ExitStack() as on_failure:
        file = on_failure.enter_context(tempfile.TemporaryFile())  # without a name: gone as soon as it is closed
        shutil.copyfileobj(request.stream, file, 1 << 20)
        on_failure.pop_all()  # all of it is here: from now on the job closes it
    return success(job=jobs.start(user, name, file))


@app.get("/jobs")
def list_jobs() -> ResponseReturnValue:
    """What the page asks when it opens, and when it may have missed something."""
    return success(jobs=jobs.of(current_user()))


@app.post("/say")
def say() -> ResponseReturnValue:
    """Tell everybody who has the page open."""
    flow.broadcast("chat/said", {"user": current_user(), "text": text_of("text", longest=500)})
    return success()


def current_user() -> str:
    user: str = session.get("user") or abort(401, "Nobody is logged in.")
    return user


def text_of(field: str, longest: int) -> str:
    """Return a text from the JSON that was sent, or answer 400."""
    body = request.get_json()
    value = body.get(field) if isinstance(body, dict) else None
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= longest else abort(400, f"The {field} must have 1 to {longest} characters.")


def success(**data: object) -> Response:
    return jsonify(status="success", data=data)


@app.errorhandler(HTTPException)
def explain(error: HTTPException) -> ResponseReturnValue:
    return jsonify(status="error", message=error.description), error.code or 500


@app.before_request
def refuse_other_sites() -> None:
    """Another site cannot make a browser send this header, so it cannot act for a user who is logged in here."""
    if request.method == "POST" and request.headers.get("X-Requested-With") != "flask-jobs":
        abort(403, "This request does not come from the page.")


@app.after_request
def protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
