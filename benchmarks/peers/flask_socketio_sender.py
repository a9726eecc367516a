"""Emits to the room through Flask-SocketIO's own write-only object, from a process of its own, with many threads."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask_socketio import SocketIO

from benchmarks.peers.sending import EVENT, GROUP, Clock, order, redis_url, text


def send() -> None:
    """Emit what was ordered."""
    count, at_once = order()
    socketio = SocketIO(message_queue=redis_url(), async_mode="threading")

    def emit(number: int) -> None:
        socketio.emit(EVENT, text(number), to=GROUP)

    with ThreadPoolExecutor(at_once) as threads:
        clock = Clock()
        list(threads.map(emit, range(1, count + 1)))
        clock.report(count)


send()
