"""Cleaning of the log: rows past their time or over the budget are dropped, the write-ahead log is brought in.

Everything here is a job for the writer, small enough that no publish waits for it long. Owns when rows are dropped,
never which rows a channel has, nor which of them are past their time (`row_index`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from messageflow.brokers.embedded.data_directory import DataDirectory
from messageflow.brokers.embedded.row_index import DroppedRows, RowIndex
from messageflow.brokers.embedded.writer_thread import WriterThread
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

MIB = 1 << 20
CHECKPOINT_BYTES = 16 * MIB  # of the write-ahead log; tens of milliseconds of the writer, mostly two syncs
COMMIT_BYTES, ROW_BYTES = 4096, 150  # what an append and a row beside its JSON cost there, about
SLICE = 2000  # rows dropped in one job


class LogCleaner:
    """Keeps the log of one data directory within its bounds.

    Args:
        directory: whose log it is.
        index: knows the rows.
        writer: does the jobs.
        budget: bytes the file may hold.
        clock: seconds, as the rows have them.
        judge: says what an error of the storage means, and sees to it.

    Attributes:
        size: bytes the file holds, as of the last job.
        evicted: publications dropped for the budget, before their time.
    """

    def __init__(
        self,
        directory: DataDirectory,
        index: RowIndex,
        writer: WriterThread,
        budget: int,
        clock: Callable[[], float],
        judge: Callable[[BaseException], BrokerError],
    ) -> None:
        self._judge = judge
        self._again: list[DroppedRows] = []  # could not be dropped yet
        self._log = directory.log
        self._index = index
        self._writer = writer
        self._budget = budget
        self._written = 0  # bytes since the last checkpoint, about
        self._clock = clock
        self._dropping = False
        self._stopped = False
        self._syncer = ThreadPoolExecutor(1, "messageflow-syncer")  # its thread begins with the first job
        self.size = self._log.measure()
        self.evicted = 0

    def note_append(self, rows: int, size: int) -> None:
        """So many rows with so many bytes of data, info and tags were appended at once."""
        self._written += COMMIT_BYTES + rows * ROW_BYTES + size
        if self._written > CHECKPOINT_BYTES:
            self._written = 0
            self._begin_checkpoint()

    def _begin_checkpoint(self) -> None:
        """Checkpoint once the write-ahead log is synced, which keeps nobody waiting.

        Of the 29 ms that publishes then had to wait for the writer, 11 are left (benchmarks: unicast).
        """
        if not self._stopped:
            synced = asyncio.get_running_loop().run_in_executor(self._syncer, self._log.sync_ahead)
            synced.add_done_callback(self._checkpoint_soon)

    def _checkpoint_soon(self, synced: asyncio.Future[None]) -> None:
        if not (synced.cancelled() or self._stopped):
            synced.exception()  # the checkpoint finds out by itself, and its error is judged
            self._writer.submit(self._checkpoint, self._report)

    def enforce(self) -> None:
        """Drop what is past its time, or over the budget, slice by slice. Called once a second."""
        if self._dropping or self._stopped:
            return
        now = self._clock()
        cut = self._again.pop() if self._again else self._index.trim(now, most=SLICE)
        if not cut.ids and self.size > self._budget:
            cut = self._index.evict(SLICE)
            self.evicted += len(cut.ids)
            log.warning("disk_budget", extra={"dropped": len(cut.ids), "bytes": self.size, "budget": self._budget})
        if cut.ids:
            self._dropping = True
            self._submit(cut, now, partial(self._finish_drop, cut))

    async def drop(self, cut: DroppedRows, now: float) -> None:
        """Drop rows, and return once they are gone.

        Raises:
            BrokerError: they are not; they will be tried again.
        """
        if cut.ids:
            finished: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
            self._submit(cut, now, lambda error: None if finished.done() else finished.set_result(error))
            if (error := await finished) is not None:
                self._again.append(cut)
                raise self._judge(error)

    def forget(self, cut: DroppedRows, channel: str, epoch: str) -> None:
        """Drop all that is known of a channel; streams that begin from now on do so in `epoch`."""

        def job() -> None:
            self._log.drop(cut.ids, [], 0.0)
            self._log.forget([channel], epoch)

        self._writer.submit(job, self._report)

    def _submit(self, cut: DroppedRows, now: float, done: Callable[[BaseException | None], None]) -> None:
        def job() -> None:
            for start in range(0, len(cut.ids), SLICE):
                self._log.drop(cut.ids[start : start + SLICE], cut.newest, now)
            self.size = self._log.measure()

        self._written += COMMIT_BYTES * len(cut.newest)
        self._writer.submit(job, done)

    def _finish_drop(self, cut: DroppedRows, error: BaseException | None) -> None:
        self._dropping = False
        if error is None:
            self.enforce()  # there may be more; publishes that came meanwhile go between two slices
        else:
            self._again.append(cut)  # unseen by readers all the same
            self._judge(error)

    def _report(self, error: BaseException | None) -> None:
        if error is not None:
            self._judge(error)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        self._syncer.shutdown()

    def _checkpoint(self) -> None:
        self._log.checkpoint()
        self.size = self._log.measure()
