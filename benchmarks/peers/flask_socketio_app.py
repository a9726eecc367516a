"""Flask-SocketIO on gevent, with its Redis queue: whoever connects is in one room."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - the rest has to find what was patched

from flask import Flask  # noqa: E402
from flask_socketio import SocketIO, join_room  # noqa: E402

from benchmarks.peers.sending import GROUP, PORT, redis_url  # noqa: E402

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent", message_queue=redis_url(), cors_allowed_origins="*")


@socketio.on("connect")
def connected() -> None:
    """Enter the room."""
    join_room(GROUP)


socketio.run(app, host="127.0.0.1", port=int(os.environ[PORT]), log_output=False)
