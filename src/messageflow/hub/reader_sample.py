"""Some readers of a crowd, and how much of what was written to all of it each has read.

Owns the arithmetic of `hub.reader_probes`. Pure, but for the objects it names: times are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from messageflow.hub.backlog import count_shared
from messageflow.hub.transport import Encoding, Member

CROWD = 100  # live readers of a channel, below which nobody is asked
EVERY = 0.1  # seconds between two probes to a reader whose pace is known
LEAST = 4096  # bytes that one is behind: what was read in less time than that takes says nothing of a pace
UNKNOWN_PACE = 32_768.0  # bytes a second that one is believed to read of whom nothing is known
FEWEST = 4  # readers that are known, below which nothing is
BELIEVED = 2.0  # seconds for which a crowd that is new is believed to answer
SHORTEST = 0.005  # seconds that so much is believed to take at least
FARTHEST = 0.5  # seconds that the way to a reader and back is believed to take
FARTHER = 0.2  # seconds that it is believed to take more than the way to the nearest
RECENT = 262_144  # bytes of what was written that is remembered: more than the buffer of one that is not yet behind
NEVER = -float("inf")
UNLIMITED = float("inf")


class SampledReader:
    """One reader that is asked.

    Args:
        session: itself.
        read: bytes of what was written to the crowd that it is known to have read.

    Attributes:
        read: how many of the bytes written it is known to have read.
        is_asked: whether it has yet to answer.
        answered: whether it ever answered.
    """

    __slots__ = ("_asked_at", "_asked_behind", "_fastest", "_pace", "answered", "is_asked", "read", "session")

    def __init__(self, session: Member, read: int) -> None:
        self.session = session
        self.read = read
        self.answered = self.is_asked = False
        self._asked_at = NEVER
        self._asked_behind = read
        self._fastest = FARTHEST
        self._pace = UNKNOWN_PACE  # bytes a second

    def is_due(self, written: int, some: float, now: float) -> bool:
        """Whether it should be asked, since so much was written: now and then, and with `some` seconds before it."""
        if self.is_asked:
            return False
        if not self.answered:
            return True
        ahead = written - self.read
        if ahead < LEAST:
            return False
        return self._pace == UNKNOWN_PACE or ahead > some * self._pace or now - self._asked_at >= EVERY

    def note_asked(self, written: int, now: float) -> None:
        """It is asked, behind so many bytes."""
        self._asked_at, self._asked_behind, self.is_asked = now, written, True

    def note_answer(self, now: float, nearest: float) -> None:
        """It has read as far as it was asked; the quickest answer of all took `nearest` seconds.

        One quick answer may be luck, as where many readers share a thread, so a pace at most doubles with each.
        """
        took = now - self._asked_at
        self._fastest = min(self._fastest, took)
        if self._asked_behind - self.read >= LEAST:
            pace = (self._asked_behind - self.read) / max(took - self._way(nearest), SHORTEST)
            self._pace = min(pace, 2 * self._pace)
        self.read, self.is_asked, self.answered = self._asked_behind, False, True

    def _way(self, nearest: float) -> float:
        """Return the seconds that the way to it and back is believed to take."""
        return min(self._fastest, nearest + FARTHER)

    def waited(self, now: float) -> float:
        """Return for how many seconds it has not answered."""
        return now - self._asked_at if self.is_asked else 0.0

    def unheard(self, now: float) -> float:
        """Return for how many seconds it was not asked."""
        return now - self._asked_at

    def measure_room(self, written: int, most: float, now: float, nearest: float) -> float:
        """Return how many bytes more would have it read for so many seconds, of so many bytes written to all.

        It reads at the pace it had when it answered last, and no faster than would have let it answer since.
        """
        pace, late = self._pace, self.waited(now) - self._way(nearest)
        if late > SHORTEST:
            pace = min(pace, max(self._asked_behind - self.read, LEAST) / late)
        return pace * most - (written - self.read) if late < most else 0.0


class ReadSample:
    """The readers of one crowd that are asked.

    Attributes:
        written: bytes written to each of the crowd since it is looked at.
        recent: the newest batches of that which no backlog has, while buffers hold them.
        readers: themselves.
        nearest: seconds that the quickest answer took.
    """

    __slots__ = ("_believes_until", "_recent_bytes", "nearest", "readers", "recent", "written")

    def __init__(self) -> None:
        self.written = 0
        self.recent: deque[Mapping[Encoding, bytes]] = deque()
        self._recent_bytes = 0
        self.readers: list[SampledReader] = []
        self.nearest = FARTHEST
        self._believes_until = UNLIMITED

    @property
    def is_new(self) -> bool:
        """Whether nobody was chosen yet to be asked."""
        return self._believes_until == UNLIMITED

    def begin_asking(self, now: float) -> None:
        """The readers are chosen now."""
        self._believes_until = now + BELIEVED

    def note_written(self, batch: Mapping[Encoding, bytes], *, kept: bool) -> None:
        """A batch is written to all of the crowd; `kept` says that a backlog has it."""
        size = _measure(batch)
        self.written += size
        if kept:
            return
        self.recent.append(batch)
        self._recent_bytes += size
        while self._recent_bytes - _measure(self.recent[0]) >= RECENT:
            self._drop_oldest()

    def drop_unshared(self) -> None:
        """Keep no batch that no buffer holds any more."""
        while self.recent and not count_shared((self.recent[0],)):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._recent_bytes -= _measure(self.recent.popleft())

    def note_answer(self, reader: SampledReader, now: float) -> None:
        """One has read as far as it was asked."""
        self.nearest = min(self.nearest, reader.waited(now))
        reader.note_answer(now, self.nearest)

    def measure_room(self, most: float, now: float, gone: Callable[[Member], bool]) -> float:
        """Return how many bytes more would have at least half of those who answer read for so many seconds.

        Args:
            most: seconds.
            now: monotonic seconds.
            gone: whether one has left.
        """
        if self.is_new:
            return UNKNOWN_PACE * most - self.written
        rooms = sorted(
            reader.measure_room(self.written, most, now, self.nearest)
            for reader in self.readers
            if (reader.answered or now < self._believes_until) and not gone(reader.session)
        )
        return rooms[(len(rooms) - 1) // 2] if len(rooms) >= FEWEST else UNLIMITED


def _measure(batch: Mapping[Encoding, bytes]) -> int:
    return len(next(iter(batch.values()), b""))
