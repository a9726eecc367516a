"""How many sockets there is room for, by the limit of open files: what browsers may take, and what is kept from them.

Three parts of one limit. WebSockets take what leaves `reserve` free; requests, which a WebSocket begins as, go on into
the reserve, so that health, API and metrics are answered when browsers have taken all they may; the last of it, `kept`,
is for what the process opens itself: the log, SQLite, the link of the workers.

Counts what it is told and what changed since, so that nobody asks the kernel for each connection. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

UNLIMITED = float("inf")
LEAST_RESERVE, MOST_RESERVE = 24, 256
LEAST_KEPT = 8
NEAR = 0.9  # of what browsers may take


class Sockets(NamedTuple):
    """What the port holds.

    Args:
        websockets: those of sessions, before and after them.
        requests: connections that speak HTTP.
        waiting: of these, how many wait for nothing of ours, and make room when another comes.
    """

    websockets: int
    requests: int
    waiting: int = 0


class FileRoom:
    """Room for sockets.

    Args:
        limit: of open files of this process; 0: there is none, or it is not known.

    Attributes:
        limit: as it is now.
        reserve: open files that WebSockets leave free.
        kept: open files that nobody's connection takes.
        websockets_limit: as many may be open; `reckon` before one is refused.
        requests_limit: as many connections may speak HTTP; `reckon` before one is refused.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = self.reserve = self.kept = 0
        self.change_limit(limit)
        self.websockets_limit = self.requests_limit = UNLIMITED
        self._others = 0  # open files that are no sockets of the port
        self._count: Callable[[], Sockets] = lambda: Sockets(0, 0)

    def change_limit(self, limit: int) -> None:
        """Take another limit, which counts from the next `note` on."""
        self.limit = limit
        self.reserve = max(LEAST_RESERVE, min(limit // 10, MOST_RESERVE))
        self.kept = max(LEAST_KEPT, self.reserve // 4)

    def join(self, count: Callable[[], Sockets]) -> None:
        """Take what counts the sockets of the port."""
        self._count = count

    def note(self, open_files: int) -> None:
        """Take how many files are open now, by the kernel's count."""
        self._others = open_files - self._sockets()
        self.reckon()

    def reckon(self) -> None:
        """Share out what is free."""
        if not self.limit:
            return
        websockets, requests, _ = self._count()
        free = self.limit - self.open_files
        for_websockets = max(0, free - self.reserve)
        self.websockets_limit = websockets + for_websockets
        self.requests_limit = requests + free - for_websockets - self.kept

    def _sockets(self) -> int:
        websockets, requests, _ = self._count()
        return websockets + requests

    @property
    def can_be_made(self) -> bool:
        """Whether a WebSocket leaves the reserve free once those make room who wait for nothing of ours."""
        _, requests, waiting = self._count()
        free = self.limit - self.open_files
        return free + min(waiting, requests) > self.reserve

    @property
    def open_files(self) -> int:
        """How many files are open: as last counted, and the sockets that came and went since."""
        return self._others + self._sockets()

    @property
    def for_connections(self) -> int:
        """How many WebSockets this limit is enough for, with what else is open now."""
        return max(0, self.limit - self._others - self.reserve)

    @property
    def is_near(self) -> bool:
        """Whether nearly all is taken that browsers may take."""
        return bool(self.limit) and self.open_files >= NEAR * (self.limit - self.reserve)

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more can be opened, by anybody in this process."""
        return bool(self.limit) and self.open_files >= self.limit - 1

    @property
    def is_free_again(self) -> bool:
        """Whether some can be opened again without the next being the last."""
        return self.open_files <= self.limit - self.kept // 2
