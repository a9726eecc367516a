"""A thread of this process that drains the outbox after each commit, where nobody runs `messageflow_drain`.

Owns one thread a process and database, begun by the first row. It dies with its process: what it had not sent then is
sent by the next one that commits a row, or by the command.
"""

from __future__ import annotations

import logging
import os
import random
import threading

from django.db import connections

from messageflow.core.backoff import Backoff
from messageflow.integrations.django.outbox_draining import drain

log = logging.getLogger("messageflow.django")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds
_threads: dict[tuple[int, str], _DrainThread] = {}
_lock = threading.Lock()


class _DrainThread(threading.Thread):
    def __init__(self, using: str) -> None:
        super().__init__(name="messageflow-outbox", daemon=True)
        self.using = using
        self.woken = threading.Event()

    def run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while self.woken.wait():
            self.woken.clear()
            try:
                error: Exception | None = drain(self.using).error
            except Exception as raised:  # of the database: it may come back
                error = raised
            finally:
                connections[self.using].close()
            if error is None:
                backoff.reset()
                continue
            log.warning("messageflow: the outbox waits: %s", error)
            self.woken.wait(backoff.fail())
            self.woken.set()


def wake(using: str) -> None:
    """Let the outbox of a database be drained soon."""
    key = os.getpid(), using
    with _lock:
        thread = _threads.get(key)
        if thread is None or not thread.is_alive():
            thread = _threads[key] = _DrainThread(using)
            thread.start()
    thread.woken.set()
