"""Emits to the room through Flask-SocketIO's own write-only object, from a process of its own, with many threads."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask_socketio import SocketIO

from benchmarks.peers.sending import EVENT, GROUP, NOBODY, Clock, order, redis_url, text


def send() -> None:
    """Emit what was ordered."""
    count, at_once = order()
    socketio = SocketIO(message_queue=redis_url(), async_mode="threading")

    def emit_to(room: str, texts: int) -> None:
        list(threads.map(lambda number: socketio.emit(EVENT, text(number), to=room), range(1, texts + 1)))

    with ThreadPoolExecutor(at_once) as threads:
        emit_to(NOBODY, 2 * at_once)
        clock = Clock()
        emit_to(GROUP, count)
        clock.report()


send()
