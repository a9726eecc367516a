"""An event loop on a thread of its own, for coroutine functions of an application that has no loop.

Owns the thread; a forked child begins another. Never decides what runs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any


class LoopThread:
    """One loop a process, begun when it is first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Return what a coroutine returns. It is cancelled when its time is over.

        Raises:
            TimeoutError: it is.
        """

        async def limited() -> Any:
            async with asyncio.timeout(seconds):
                return await work

        return asyncio.run_coroutine_threadsafe(limited(), self._find_loop()).result()

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        if self._process == os.getpid():
            return self._loop
        with self._lock:
            if self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="handler-loop", daemon=True).start()
                self._process = os.getpid()
        return self._loop
