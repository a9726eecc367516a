"""Flask-SocketIO on gevent or threads, with its Redis queue or alone: one room for all; texts come over HTTP too."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import os

MODE = os.environ.get("BENCHMARK_ASYNC_MODE", "gevent")
if MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()  # before the rest, which has to find what was patched

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, emit, join_room  # noqa: E402

from benchmarks.peers.sending import EVENT, GROUP, PORT, SAID, redis_url  # noqa: E402

app = Flask(__name__)
socketio = SocketIO(app, async_mode=MODE, message_queue=redis_url() or None, cors_allowed_origins="*")


@socketio.on("connect")
def connected() -> None:
    """Enter the room."""
    join_room(GROUP)


@socketio.on(SAID)
def say(text: str) -> None:
    """Emit to the room what a page says."""
    emit(EVENT, text, to=GROUP)


@app.post("/publish")
def publish() -> str:
    """Emit a text to the room."""
    socketio.emit(EVENT, request.get_data(as_text=True), to=GROUP)
    return ""


socketio.run(app, host="127.0.0.1", port=int(os.environ[PORT]), log_output=False, allow_unsafe_werkzeug=True)
