"""python-socketio's ASGI server: what a page says is emitted to everybody."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import socketio

from benchmarks.peers.sending import EVENT, SAID

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
application = socketio.ASGIApp(server)


@server.on(SAID)
async def say(sid: str, text: str) -> None:
    """Emit it."""
    await server.emit(EVENT, text)
