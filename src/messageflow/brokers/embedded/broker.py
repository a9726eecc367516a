"""The embedded broker: streams in this process's memory and in one file of its data directory.

A publication is staged, which gives it its offset; stored, by the writer's thread, together with all that came
meanwhile; and only then committed: kept in memory, delivered, acknowledged. So no reader has seen what a crash could
take back. What memory has no room for is read from the log.

Owns the writer's thread and a thread that reads; never delivers what is not stored.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Literal

from messageflow.brokers.base import HistoryPart, Later, Sink, Stored
from messageflow.brokers.broker_options import DEFAULTS
from messageflow.brokers.embedded.commit_batch import CommitBatch
from messageflow.brokers.embedded.data_directory import DataDirectory
from messageflow.brokers.embedded.disk_reads import DiskReads
from messageflow.brokers.embedded.files import Displaced
from messageflow.brokers.embedded.log_cleaner import LogCleaner
from messageflow.brokers.embedded.log_recovery import Timeline, open_streams
from messageflow.brokers.embedded.reservations_file import leave_reservations, take_reservations
from messageflow.brokers.embedded.row_index import RowIndex
from messageflow.brokers.embedded.storage_health import StorageHealth
from messageflow.brokers.embedded.stream_reads import StreamReads
from messageflow.brokers.embedded.writer_thread import WriterThread
from messageflow.brokers.local import LocalBroker, new_epoch
from messageflow.core.stream import OVERHEAD, Item, Position, Publication, make_unnumbered
from messageflow.core.stream_table import StreamTable
from messageflow.errors import NoRoom

log = logging.getLogger("messageflow.broker")

STAGED_BYTES = 64 << 20  # of publications that may wait while the disk hangs
INLINE_ROWS = 512  # as many as a slice of a batch
LOOK_EVERY = 32  # publishes stored in their own step to one that waits for the others of its turn
INLINE_SECONDS, PATIENCE = 0.02, 1.0  # how long the loop may wait for the disk, and for how long it then does not


class EmbeddedBroker(LocalBroker):
    """The contract of `brokers.base.Broker` within one process, and over its restarts.

    Args:
        directory: the data directory, for this process alone.
        ack: `os`: stored once the operating system has it, which outlives the process; `disk`: once it is synced.
        memory: bytes of memory for the newest publications.
        disk: bytes of the file for all of them; beyond it the longest streams lose their oldest.
        idempotency_window: seconds for which a repeated key is recognised; after a restart, as long as the
            publication is kept and a minute at least.
        idempotency_keys: how many keys are remembered at most.
        reset_damaged: begin anew when the log is damaged, which is set aside; otherwise `start` refuses.
        clock: monotonic seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ack: Literal["os", "disk"] = DEFAULTS.ack,
        memory: int = DEFAULTS.stream_memory,
        disk: int = DEFAULTS.stream_disk,
        idempotency_window: float = DEFAULTS.idempotency_window,
        idempotency_keys: int = 500_000,
        reset_damaged: bool = DEFAULTS.reset_damaged,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._timeline = Timeline(clock, wall)
        self._memory = memory
        super().__init__(
            self._make_streams(),
            idempotency_window=idempotency_window,
            idempotency_keys=idempotency_keys,
            clock=self._timeline,
        )
        self._directory = directory
        self.ack = ack
        self._disk = disk
        self._reset_damaged = reset_damaged
        self._index = RowIndex()
        self._batch = CommitBatch()
        self._storing: CommitBatch | None = None
        self._due = False
        self._alone = 0  # how many more may be stored in their own step before one looks whether others come along
        self._patient_until = 0.0
        self._health = StorageHealth(directory)
        self._refused = 0
        self._next_id = 1
        self._loop: asyncio.AbstractEventLoop
        self._data: DataDirectory
        self._writer: WriterThread
        self._cleaner: LogCleaner
        self._reads: StreamReads

    def _make_streams(self) -> StreamTable:
        return StreamTable(new_epoch, memory=self._memory, on_forgotten=self._forget)

    # Life

    async def start(self, sink: Sink) -> None:
        """Open the data directory, read what it holds, and deliver to `sink` from now on.

        Raises:
            ConfigurationError: it is in use, cannot be written, or holds a damaged or a foreign file.
        """
        self._loop = asyncio.get_running_loop()
        self._open()
        self._writer = WriterThread(self._loop)
        judge = partial(self._health.judge, data=self._data)
        self._cleaner = LogCleaner(self._data, self._index, self._writer, self._disk, self._clock, judge)
        disk = DiskReads(self._loop, self._data.reader, self._index)
        self._reads = StreamReads(self._streams, self._index, disk, self._clock)
        await super().start(sink)
        take_reservations(self._directory, self._reservations)

    def _open(self) -> None:
        self._data, self._streams, found = open_streams(
            self._directory, self._make_streams, self._stored, self.ack, reset_damaged=self._reset_damaged
        )
        self._index = found.rows
        self._next_id = self._data.log.read_last_id() + 1
        self._timeline.begin_after(found.newest)
        self._streams.sweep(self._clock())
        if found.garbage:
            self._data.log.drop(found.garbage, [], self._clock())

    async def close(self) -> None:
        if self._sink is None:
            return
        while self._storing is not None or self._batch.entries:
            await asyncio.wait([(self._storing or self._batch).wait(self._loop)])
        await super().close()
        self._cleaner.stop()
        if not self.trouble:
            leave_reservations(self._directory, self._reservations)
        if not self._health.trouble:
            try:
                await self._writer.call(self._data.finish)
            except (sqlite3.Error, OSError) as error:
                log.error("close_failed", extra={"error": str(error)})
        await self._writer.close()
        self._reads.close()
        self._data.close()

    @property
    def trouble(self) -> str:
        return self._health.trouble or self._health.displaced

    # Publishing

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        now, batches = self._clock(), set[CommitBatch]()
        self._require_room(items, now)
        outcomes = [self._stage(item, now, batches) for item in items]
        self._commit_soon()
        waiters = [each.wait(self._loop) for each in batches]
        if len(waiters) == 1:
            await waiters[0]
        else:
            for error in await asyncio.gather(*waiters, return_exceptions=True):
                if error is not None:
                    raise error
        return outcomes

    def publish_now(self, item: Item, later: Later) -> Stored | None:
        """Store one item, see `ImmediateStore`: in this step, unless others are likely to come along in this turn.

        One commit for all of a turn is what makes many publishers quick; a turn less, and nobody that waits, is what
        makes one quick. So now and then one waits for the turn to end, and while others came along with it, all do.
        """
        now, batch = self._clock(), self._batch
        if (
            self._alone
            and item.version is None
            and self._storing is None
            and not batch.entries
            and self._may_store_here()
        ):
            self._require_files()
            self._alone -= 1
            stored = self._stage(item, now, set())
            if batch.entries:
                self._store_alone(batch)
            return stored
        self._require_room((item,), now)
        batches = set[CommitBatch]()
        stored = self._stage(item, now, batches)
        self._commit_soon()
        if not batches:
            return stored
        batches.pop().tell(later, stored)  # one at most, for a key is in one only
        return None

    def _commit_soon(self) -> None:
        """Have what is staged stored at the end of this turn: its other publishers come along."""
        if self._batch.entries and not self._due and self._storing is None:
            self._due = True
            self._loop.call_soon(self._commit)

    def _require_room(self, items: Sequence[Item], now: float) -> None:
        """Go on only where items may be staged.

        Raises:
            BrokerError: see `_require_files`; or the disk does not keep up, and there is no room for what waits for it.
        """
        self._require_files()
        known = self._stored.get
        if self._batch.size > STAGED_BYTES and not all(
            each.key and known(each.channel, each.key, now) for each in items
        ):
            raise NoRoom("storage_slow: the disk does not keep up, and as much waits for it as may")

    def _require_files(self) -> None:
        """Go on only where what is stored now will be found at the next start.

        Raises:
            BrokerError: the broker is not running, or its files are not where they were.
        """
        self._require_sink()
        if self._health.displaced:
            raise NoRoom(self._health.displaced)

    def _may_store_here(self) -> bool:
        """Whether the event loop may store a little by itself."""
        return not self._writer.pending and self.ack != "disk" and monotonic() >= self._patient_until

    def _stage(self, item: Item, now: float, batches: set[CommitBatch]) -> Stored:
        """Give an item its place, and note which batches its caller has to wait for."""
        channel, retention, key, version = item.channel, item.retention, item.key, item.version
        if key:
            before = self._stored.get(channel, key, now)
            if before is not None:
                self._wait_for(channel, key, batches)
                return before
        if version is not None and retention.keeps and self._streams.is_outdated(channel, version):
            self._wait_for(channel, "", batches)
            return Stored(*self._streams.find_staged_position(channel), self.ack)
        if self._health.trouble:
            raise NoRoom(self._health.trouble)  # only now: what was stored before under this key is stored
        if not retention.keeps:
            stored = Stored("", 0, "", "memory")
            self._deliver(channel, "", make_unnumbered(item, now))
        else:
            stream, batch = self._streams.retain(channel, retention), self._batch
            publication = stream.stage(item, now)
            stored = Stored(stream.epoch, publication.offset, publication.tag, self.ack)
            batch.entries.append((self._next_id, channel, stream, publication, retention, key))
            batch.size += OVERHEAD + len(item.data) + len(item.info) + len(item.tags)
            self._next_id += 1
            batches.add(batch)
            if version is not None:
                batch.set_version(channel, stream, version)
        if key:
            self._stored.put(channel, key, stored, now)  # believed only together with the batch it waits for
        return stored

    def _wait_for(self, channel: str, key: str, batches: set[CommitBatch]) -> None:
        """Have a caller wait for what is under way and known already: with a key in a channel, or anything in it."""
        self._health.check_files(self._data.files)
        for batch in (self._batch, self._storing):
            if batch is not None and batch.has(channel, key):
                batches.add(batch)
                break  # the last of them: it fails with the one before it

    def _store_alone(self, batch: CommitBatch) -> None:
        """Store a batch of one that nobody waits for, here and now, or raise; see `_commit` (benchmarks: push)."""
        (entry,), size = batch.entries, batch.size
        number, channel, stream, publication, _, _ = entry
        error = self._append_here(batch, publication, number)
        if error is not None:
            self._storing, self._batch = batch, CommitBatch()
            self._finish_commit(error)
            if batch.error is not None:
                raise batch.error from None
            return
        batch.entries.clear()
        batch.size = 0
        self._streams.commit(channel, stream, publication)
        self._index.put((entry,))
        if channel in self._subscribed:
            self._deliver(channel, stream.epoch, publication)
        self._cleaner.note_append(1, size - OVERHEAD)

    def _commit(self) -> None:
        """Have the batch stored, unless the writer is still busy with the one before.

        A small one is stored here and now while the writer has nothing to do: 30 µs, where two switches of threads
        take 150.
        """
        self._due = False
        batch = self._batch
        if self._storing is not None or not batch.entries:
            return
        self._storing, self._batch = batch, CommitBatch()
        if batch.waiting:
            self._alone = LOOK_EVERY if batch.waiting == 1 else 0
        last, _, _, end, _, _ = batch.entries[-1]
        if len(batch.entries) > INLINE_ROWS or not self._may_store_here():
            self._writer.submit(
                partial(self._data.append, batch.rows, end, last, batch.versions.values()), self._finish_commit
            )
            return
        self._finish_commit(self._append_here(batch, end, last))

    def _append_here(self, batch: CommitBatch, end: Publication, last: int) -> BaseException | None:
        """Store a batch in this step; return why not. A disk that is slow at it is left to the writer for a while."""
        began = monotonic()
        try:
            self._data.append(batch.rows, end, last, batch.versions.values())
        except Exception as error:
            return error
        if monotonic() - began > INLINE_SECONDS:
            self._patient_until = monotonic() + PATIENCE
        return None

    def _finish_commit(self, error: BaseException | None) -> None:
        """The batch is stored, or not: commit or fail it, and go on with the next."""
        done, self._storing = self._storing, None
        if done is None:
            return
        if error is not None and not isinstance(error, Displaced):
            self._fail(done, error)
            return
        self._index.put(done.entries)
        commit, subscribed = self._streams.commit, self._subscribed
        for _, channel, stream, publication, _, _ in done.entries:
            commit(channel, stream, publication)
            if channel in subscribed:
                self._deliver(channel, stream.epoch, publication)
        done.end(None if error is None else self._health.note_displaced(error))
        if self._batch.entries:
            self._commit()
        self._cleaner.note_append(len(done.entries), done.size - OVERHEAD * len(done.entries))

    def _fail(self, done: CommitBatch, error: BaseException) -> None:
        """Nothing of a batch was stored: roll back its offsets, and those of the next batch, which follow them."""
        following, self._batch = self._batch, CommitBatch()
        refusal = self._health.judge(error, self._data)
        # What a failing disk was given may be there at the next start; what it was not given will not.
        self._refused += len(done.entries) + len(following.entries)
        following.roll_back(self._stored)
        done.roll_back(self._stored)
        done.end(refusal)
        following.end(NoRoom(str(refusal)))

    # Reading

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        return await self._reads.read_since(channel, position, limit, size)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        return await self._reads.read_page(channel, offset, limit, size, reverse=reverse)

    async def remove_history(self, channel: str) -> None:
        self._streams.remove(channel)
        await self._cleaner.drop(self._index.remove(channel), self._clock())

    # Keeping it in bounds

    def _enforce_limits(self, now: float) -> None:
        super()._enforce_limits(now)
        if not self._health.trouble:
            self._cleaner.enforce()
        if not self._writer.pending:
            self._writer.submit(self._data.files.look, self._health.note_files)

    def _forget(self, channel: str) -> None:
        """A stream's position was given up for want of memory: nothing of it stays."""
        self._cleaner.forget(self._index.remove(channel), channel, self._streams.epoch)

    def statistics(self) -> dict[str, float]:
        return super().statistics() | {
            "log_publications": self._index.rows,
            "log_bytes": self._cleaner.size,
            "log_publications_shed": self._cleaner.evicted,
            "publications_not_stored": self._refused,
        }
