"""One channel within one worker: who listens, where they stand, and what they are still to be sent.

All live sessions of a channel stand at one position, so fan-out compares no offsets. A publication becomes *pending*;
a flush joins what is pending into one batch and writes it once to each live session. A batch to very many sessions is
written in slices, and those not yet served are kept in `unserved`: a session that leaves is taken out there, one that
falls behind is served at once, and so every session's position is known at any moment.

Synchronous: nothing here awaits or raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from messageflow.core.channels import NamespaceOptions
from messageflow.core.protocol import Push
from messageflow.core.stream import Position, Publication
from messageflow.hub.connection import Wire

if TYPE_CHECKING:
    from messageflow.hub.session import Session

Write = Callable[[bytes], None]
PENDING_BYTES = 1 << 20  # a flush never joins more than about this at once


class Received(Enum):
    """What a publication that arrived means."""

    PENDING = "pending"  # to be flushed
    ASIDE = "aside"  # nobody is live yet; those on their way in will merge it
    STALE = "stale"  # delivered before
    GAP = "gap"  # something before it was missed


class Channel:
    """The sessions of one channel on this worker.

    Attributes:
        position: where every live session stands; None until the first one has read it from the broker.
        live: the sessions that get publications as they come, with their `write`.
        lagging: the sessions that read from history because their socket is slow.
        entering: how many sessions are on their way in; while there are any, arrivals are also kept `aside`.
        watchers: the live sessions that asked for joins and leaves.
    """

    __slots__ = (
        "_batches",
        "_pending",
        "_pending_bytes",
        "_presence",
        "_top",
        "aside",
        "entering",
        "lagging",
        "live",
        "marked",
        "name",
        "opened",
        "opening",
        "options",
        "position",
        "unserved",
        "watchers",
    )

    def __init__(self, name: str, options: NamespaceOptions) -> None:
        self.name = name
        self.options = options
        self.opened = False  # whether the broker delivers, see Hub.open
        self.opening: asyncio.Future[None] | None = None  # while somebody asks it to
        self.marked = False  # whether it waits in the hub for a flush
        self.position: Position | None = None
        self.live: dict[Session, Write] = {}
        self.lagging: set[Session] | None = None
        self.watchers: set[Session] | None = None
        self.entering = 0
        self.aside: list[Publication] | None = None
        self.unserved: dict[Session, Write] | None = None
        self._batches: dict[Wire, bytes] | None = None
        self._pending: list[Publication] | None = None
        self._pending_bytes = 0
        self._presence: list[Push] | None = None
        self._top: Position | None = None  # after all that was received, pending or not

    @property
    def abandoned(self) -> bool:
        """Whether nobody is here or on the way in."""
        return not (self.live or self.lagging or self.entering)

    @property
    def sessions(self) -> Iterator[Session]:
        """All sessions that hold a subscription, live or lagging."""
        yield from self.live
        yield from self.lagging or ()

    @property
    def dirty(self) -> bool:
        """Whether a flush has something to do."""
        return bool(self._pending or self._presence or self.unserved)

    @property
    def full(self) -> bool:
        """Whether as much is pending as one flush should join."""
        return self._pending_bytes >= PENDING_BYTES

    # What arrives

    def receive(self, epoch: str, publication: Publication) -> Received:
        """Take a publication from the broker."""
        if self.aside is not None:
            self.aside.append(publication)
        if publication.offset:
            top = self._top
            if top is None:
                return Received.ASIDE
            if epoch != top.epoch or publication.offset > top.offset + 1:
                return Received.GAP
            if publication.offset <= top.offset:
                return Received.STALE
            self._top = Position(epoch, publication.offset, publication.tag)
        self._add(publication)
        return Received.PENDING

    def receive_presence(self, push: Push) -> bool:
        """Take a join or a leave. Returns whether anybody asked for it."""
        if not self.watchers:
            return False
        if self._presence is None:
            self._presence = []
        self._presence.append(push)
        return True

    def anchor(self, position: Position) -> None:
        """Say where the stream stands, when the first reader has learnt it; later calls change nothing."""
        if self.position is None:
            self.position = self._top = position
            for publication in self.aside or ():
                if publication.offset > position.offset:
                    self._top = Position(position.epoch, publication.offset, publication.tag)
                    self._add(publication)

    def forget_position(self) -> None:
        """Know nothing of the stream any more; the next reader anchors it anew."""
        self.position = self._top = None
        self._pending, self._pending_bytes = None, 0

    def _add(self, publication: Publication) -> None:
        if self._pending is None:
            self._pending = []
        self._pending.append(publication)
        self._pending_bytes += len(publication.data)

    # Who listens

    def enter(self) -> None:
        """A session is on its way in: keep aside what arrives until it is `entered`."""
        self.entering += 1
        if self.aside is None:
            self.aside = []

    def entered(self) -> None:
        """That session has gone live, or given up."""
        self.entering -= 1
        if not self.entering:
            self.aside = None

    def go_live(self, session: Session, *, watch: bool) -> None:
        """Deliver to `session` from `position` on."""
        self.live[session] = session.write
        if self.lagging is not None:
            self.lagging.discard(session)
        if watch:
            if self.watchers is None:
                self.watchers = set()
            self.watchers.add(session)

    def fall_behind(self, session: Session) -> Position | None:
        """Deliver to `session` no longer; it will read from history. Returns where it stands."""
        if self.live.pop(session, None) is not None:
            self._serve(session)
        if self.lagging is None:
            self.lagging = set()
        self.lagging.add(session)
        return self.position

    def leave(self, session: Session) -> None:
        """Forget `session`."""
        self.live.pop(session, None)
        if self.unserved is not None:
            self.unserved.pop(session, None)
        if self.lagging is not None:
            self.lagging.discard(session)
        if self.watchers is not None:
            self.watchers.discard(session)

    # Delivery

    def flush(self, wires: Iterable[Wire], budget: int) -> int:
        """Write what is pending to at most `budget` sessions, more when called again.

        Args:
            wires: every wire in use, to encode for.
            budget: how many writes may be made now, at least one.

        Returns:
            How many writes were made.
        """
        written = 0
        if self._presence:
            written += self._tell_watchers(wires)
        if self.unserved is None and self._pending:
            batches = self._begin(wires)
            if len(self.live) <= budget:
                for session, write in tuple(self.live.items()):
                    write(batches[session.wire])
                self._batches = None
                return written + len(self.live)
            self.unserved = dict(self.live)
        return written + self._slice(budget)

    def _begin(self, wires: Iterable[Wire]) -> dict[Wire, bytes]:
        """Make one batch of all that is pending; from here on it counts as delivered."""
        pending = self._pending or []
        self._pending, self._pending_bytes = None, 0
        self.position = self._top
        name = self.name
        self._batches = {wire: b"".join([wire.publication(name, p) for p in pending]) for wire in wires}
        return self._batches

    def _slice(self, budget: int) -> int:
        unserved, batches = self.unserved, self._batches
        if unserved is None or batches is None:
            return 0
        written = 0
        while unserved and written < budget:
            session, write = unserved.popitem()
            write(batches[session.wire])
            written += 1
        if not unserved:
            self.unserved = self._batches = None
        return written

    def _serve(self, session: Session) -> None:
        """Write the batch that is under way to a session that will not wait for its slice."""
        if self.unserved is not None and self._batches is not None:
            write = self.unserved.pop(session, None)
            if write is not None:
                write(self._batches[session.wire])

    def _tell_watchers(self, wires: Iterable[Wire]) -> int:
        presence, self._presence = self._presence or [], None
        told = [session for session in self.watchers or () if session in self.live]
        batches = {wire: b"".join([wire.push(self.name, push) for push in presence]) for wire in wires}
        for session in told:
            session.write(batches[session.wire])
        return len(told)
