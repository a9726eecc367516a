"""Reading what memory has no room for from the log, in a thread of its own.

Owns that thread, never writes.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from messageflow.brokers.embedded.log import LogReader
from messageflow.brokers.embedded.row_index import RowIndex
from messageflow.core.stream import Publication
from messageflow.core.weights import weigh, within
from messageflow.errors import BrokerError

log = logging.getLogger("messageflow.broker")

STEP = 32  # publications read at once where their bytes are bounded


class DiskReads:
    """Reads publications by channel and offset.

    Args:
        loop: where it is asked.
        reader: of the log.
        index: which says in which rows they lie.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: LogReader, index: RowIndex) -> None:
        self._loop = loop
        self._reader = reader
        self._index = index
        self._thread = ThreadPoolExecutor(1, "messageflow-reader")

    async def read(self, channel: str, offsets: range, size: int | None) -> tuple[list[Publication], bool]:
        """Return publications in the order of `offsets`, and whether they are a part because `size` is given.

        They end after so many bytes, and at one that was dropped meanwhile or does not read as it was written.

        Raises:
            BrokerError: the log cannot be read.
        """
        found: list[Publication] = []
        step = max(len(offsets), 1) if size is None else STEP
        for start in range(0, len(offsets), step):
            part = offsets[start : start + step]
            found += await self._read(channel, part)
            if len(found) < start + len(part):
                return found, bool(found) and size is not None
            if size is not None and weigh(found) >= size:
                return within(found, size), True
        return found, False

    async def _read(self, channel: str, offsets: range) -> list[Publication]:
        held = self._index.get(channel)
        if held is None or min(offsets) < held.first:
            return []
        ids = held.rows(min(offsets), max(offsets) + 1)
        try:
            rows = await self._loop.run_in_executor(self._thread, self._reader.read, ids)
        except sqlite3.Error as error:
            raise BrokerError(f"the log cannot be read: {error}") from error
        found = []
        for row in rows if offsets.step > 0 else reversed(rows):
            if row.channel != channel or not row.is_sound:
                log.error("row_damaged", extra={"row": row.id, "channel": channel})
                break
            found.append(row.publication)
        return found

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
