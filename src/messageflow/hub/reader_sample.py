"""Some readers of a crowd, and how much of what was written to all of it each has read.

Owns the arithmetic of `hub.reader_probes`. Pure, but for the objects it names: times are arguments.
"""

from __future__ import annotations

from collections.abc import Collection

from messageflow.hub.transport import Member

EVERY = 0.1  # seconds between two probes to a reader whose pace is known
LEAST = 4096  # bytes that one is behind: what was read in less time than that takes says nothing of a pace
FEWEST = 4  # readers that have answered, below which nothing is known
SHORTEST = 0.005  # seconds that so much is believed to take at least
FARTHEST = 0.5  # seconds that the way to a reader and back is believed to take
NEVER = -float("inf")
UNKNOWN = float("inf")


class SampledReader:
    """One reader that is asked.

    Args:
        session: itself.
        written: bytes written to the crowd before it was asked for the first time.

    Attributes:
        read: how many of the bytes written it is known to have read.
        is_asked: whether it has yet to answer.
        answered: whether it ever answered.
    """

    __slots__ = ("_asked_at", "_asked_behind", "_fastest", "_pace", "answered", "is_asked", "read", "session")

    def __init__(self, session: Member, written: int) -> None:
        self.session = session
        self.read = written
        self.answered = self.is_asked = False
        self._asked_at = NEVER
        self._asked_behind = written
        self._fastest = FARTHEST
        self._pace = UNKNOWN  # bytes a second

    def is_due(self, written: int, now: float) -> bool:
        """Whether it should be asked, since so much was written."""
        if self.is_asked:
            return False
        if not self.answered:
            return True
        return written - self.read >= LEAST and (self._pace == UNKNOWN or now - self._asked_at >= EVERY)

    def note_asked(self, written: int, now: float) -> None:
        """It is asked, behind so many bytes."""
        self._asked_at, self._asked_behind, self.is_asked = now, written, True

    def note_answer(self, now: float) -> None:
        """It has read as far as it was asked."""
        took = now - self._asked_at
        self._fastest = min(self._fastest, took)
        if self._asked_behind - self.read >= LEAST:
            self._pace = (self._asked_behind - self.read) / max(took - self._fastest, SHORTEST)
        self.read, self.is_asked, self.answered = self._asked_behind, False, True

    def waited(self, now: float) -> float:
        """Return for how many seconds it has not answered."""
        return now - self._asked_at if self.is_asked else 0.0

    def measure_wait(self, written: int, now: float) -> float:
        """Return the seconds of reading that it has before it, of so many bytes written to all."""
        return max(self.waited(now) - self._fastest, (written - self.read) / self._pace)


class ReadSample:
    """The readers of one crowd that are asked.

    Attributes:
        written: bytes written to each of the crowd since it is looked at.
        readers: themselves.
    """

    __slots__ = ("readers", "written")

    def __init__(self) -> None:
        self.written = 0
        self.readers: list[SampledReader] = []

    def measure_wait(self, live: Collection[Member], now: float) -> float:
        """Return the seconds of reading that at least half of those who answer have before them.

        Args:
            live: who was written all of it.
            now: monotonic seconds.
        """
        waits = sorted(
            reader.measure_wait(self.written, now)
            for reader in self.readers
            if reader.answered and (reader.is_asked or reader.session in live)
        )
        return waits[len(waits) // 2] if len(waits) >= FEWEST else 0.0
