"""An event loop on a thread of its own, for coroutine functions of an application that has no loop.

Owns the thread; a forked child begins another. Never decides what runs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any

from messageflow.errors import show

PATIENCE = 1.0  # seconds beyond its time in which a coroutine that was cancelled should end


class LoopThread:
    """One loop a process, begun when it is first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Return what a coroutine returns. It is cancelled when its time is over, and left to itself if it goes on.

        Raises:
            TimeoutError: it is.
            RuntimeError: it raised what would have ended the loop.
        """

        async def limited() -> Any:
            try:
                async with asyncio.timeout(seconds):
                    return await work
            except (SystemExit, KeyboardInterrupt) as error:
                raise RuntimeError(f"the handler raised {show(error)}") from error

        return asyncio.run_coroutine_threadsafe(limited(), self._find_loop()).result(seconds + PATIENCE)

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        if self._process == os.getpid():
            return self._loop
        with self._lock:
            if self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="handler-loop", daemon=True).start()
                self._process = os.getpid()
        return self._loop
