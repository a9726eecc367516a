"""Flask-SocketIO on gevent, with its Redis queue or alone: one room for all; texts come over HTTP too."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the rest has to find what was patched

from flask import Flask, request  # noqa: E402
from flask_socketio import SocketIO, join_room  # noqa: E402

from benchmarks.peers.sending import EVENT, GROUP, PORT, redis_url  # noqa: E402

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent", message_queue=redis_url() or None, cors_allowed_origins="*")


@socketio.on("connect")
def connected() -> None:
    """Enter the room."""
    join_room(GROUP)


@app.post("/publish")
def publish() -> str:
    """Emit a text to the room."""
    socketio.emit(EVENT, request.get_data(as_text=True), to=GROUP)
    return ""


socketio.run(app, host="127.0.0.1", port=int(os.environ[PORT]), log_output=False)
