"""The writer: one thread that does everything to the log, one job after the other.

What the event loop hands over while a job runs waits, and what can be joined is joined: that is the group commit. The
thread calls back on the loop. It never touches what the loop owns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger("messageflow.broker")

Job = Callable[[], None]
Done = Callable[[BaseException | None], None]


class WriterThread:
    """A thread with a queue of jobs.

    Args:
        loop: where `done` of a job is called, with the error that ended it or None.

    Attributes:
        pending: jobs that run or wait. While there are none, the loop may use what the writer uses.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.pending = 0
        self._jobs: SimpleQueue[tuple[Job, Done] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="messageflow-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job, done: Done) -> None:
        """Run a job after those before it."""
        self.pending += 1
        self._jobs.put((job, done))

    def _finish(self, done: Done, error: BaseException | None) -> None:
        self.pending -= 1
        done(error)

    async def call(self, job: Job) -> None:
        """Run a job and return when it is done. Cancelling does not stop it.

        Raises:
            Exception: what the job raised.
        """
        finished = self._loop.create_future()

        def done(error: BaseException | None) -> None:
            if finished.cancelled():
                return
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self.submit(job, done)
        await finished

    async def close(self) -> None:
        """End the thread once all jobs are done."""
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            error: BaseException | None = None
            try:
                job()
            except BaseException as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._finish, done, error)
            except RuntimeError:  # the loop is closed: the process is ending without having waited
                log.warning("writer_outlived_the_loop")
                return
