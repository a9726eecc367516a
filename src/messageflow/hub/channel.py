"""One channel within one worker: who listens, where they stand, and what they are still to be sent.

All live sessions of a channel stand at one position, so fan-out compares no offsets. A publication becomes *pending*;
a flush joins what is pending into one batch and writes it once to each live session. A batch to very many sessions is
written in slices, and those not yet served are kept in `unserved`: a session that leaves is taken out there, one that
falls behind is served at once, and so every session's position is known at any moment.

What comes after a gap is *held* until the history has given what is missing (`hub.gap_repair`), then goes the same way:
the sessions see one run.

Synchronous: nothing here awaits or raises.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum

from messageflow.core.channels import NamespaceOptions
from messageflow.core.protocol import Push
from messageflow.core.replay_buffer import ReplayBuffer
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError
from messageflow.hub.backlog import Backlog, Backlogs
from messageflow.hub.transport import FramedEncoder, Member

Write = Callable[[bytes], None]
PENDING_BYTES = 1 << 20  # what comes from the history, rather than as it happens, waits while so much is pending


class Received(Enum):
    """What a publication that arrived means."""

    PENDING = "pending"  # to be flushed
    ASIDE = "aside"  # nobody is live yet; those on their way in will merge it
    STALE = "stale"  # delivered before
    GAP = "gap"  # something before it was missed; it is held until the history has given that
    FOREIGN = "foreign"  # of another epoch: the stream they knew is gone


class Channel:
    """The sessions of one channel on this worker.

    Attributes:
        position: where every live session stands; None until the first one has read it from the broker.
        live: the sessions that get publications as they come, with their `write`.
        backlog: the sessions that fell behind because their socket is slow, and what they are to be written.
        entering: how many sessions are on their way in; while there are any, arrivals are also kept `aside`.
        delivered_from: where the stream stood when the broker began to deliver it, where that was told.
        doubted: whether the broker may have missed something before the position was known.
        watchers: the live sessions that asked for joins and leaves.
    """

    __slots__ = (
        "_batches",
        "_encoder",
        "_held",
        "_pending",
        "_pending_bytes",
        "_presence",
        "_top",
        "_used",
        "aside",
        "backlog",
        "delivered_from",
        "doubted",
        "entering",
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
        self.opened = False  # whether the broker delivers, see ChannelRegistry.open
        self.opening: asyncio.Future[BrokerError | None] | None = None  # while somebody asks it to
        self.marked = False  # whether it waits in the hub for a flush
        self.position: Position | None = None
        self.delivered_from: Position | None = None
        self.live: dict[Member, Write] = {}
        self.backlog: Backlog | None = None
        self.watchers: set[Member] | None = None
        self.entering = 0
        self.aside: ReplayBuffer | None = None
        self.doubted = False
        self.unserved: dict[Member, Write] | None = None
        self._encoder: FramedEncoder | None = None  # the one that all use, as nearly always
        self._used: dict[FramedEncoder, int] | None = None  # by how many each is used, where there are several
        self._batches: dict[FramedEncoder, bytes] | None = None
        self._held: ReplayBuffer | None = None
        self._pending: list[Publication] | None = None
        self._pending_bytes = 0
        self._presence: list[Push] | None = None
        self._top: Position | None = None  # after all that was received, pending or not

    @property
    def top(self) -> Position | None:
        """The point after all that was received without a gap, flushed or not."""
        return self._top

    @property
    def holds(self) -> bool:
        """Whether anything waits for what is missing before it."""
        return bool(self._held)

    @property
    def lagging(self) -> Collection[Member]:
        """The sessions that fell behind."""
        return self.backlog.readers if self.backlog is not None else ()

    @property
    def abandoned(self) -> bool:
        """Whether nobody is here or on the way in."""
        return not (self.live or self.backlog is not None or self.entering)

    @property
    def sessions(self) -> Iterator[Member]:
        """All sessions that hold a subscription, live or lagging."""
        yield from self.live
        yield from self.lagging

    @property
    def dirty(self) -> bool:
        """Whether a flush has something to do."""
        return bool(self._pending or self._presence or self.unserved)

    @property
    def full(self) -> bool:
        """Whether as much is pending as one flush should join."""
        return self._pending_bytes >= PENDING_BYTES

    @property
    def encoders(self) -> Collection[FramedEncoder]:
        """What its sessions are written with: for these a publication is encoded, and for no other."""
        if self._used is not None:
            return self._used
        return (self._encoder,) if self._encoder is not None else ()

    # What arrives

    def receive(self, epoch: str, publication: Publication) -> Received:
        """Take a publication from the broker."""
        if publication.offset:
            if self.entering:
                if self.aside is None:
                    self.aside = ReplayBuffer()
                self.aside.put(epoch, publication)
            top = self._top
            if top is None:
                return Received.ASIDE
            if epoch != top.epoch:
                return Received.FOREIGN
            if publication.offset > top.offset + 1:
                if self._held is None:
                    self._held = ReplayBuffer()
                self._held.put(epoch, publication)
                return Received.GAP
            if publication.offset <= top.offset:
                return Received.STALE
            self._top = Position(epoch, publication.offset, publication.tag)
        self._add(publication)
        return Received.PENDING

    def repair(self, history: Iterable[Publication]) -> int:
        """Take what the history gave, then what was held, as far as they go on without a gap.

        Returns:
            How many publications of the history had been missed.
        """
        top = self._top
        if top is None:
            return 0
        missed = 0
        for publication in history:
            if self.receive(top.epoch, publication) is Received.PENDING:
                missed += 1
        held = self._held
        while held and (following := held.pop(self._top.offset + 1 if self._top else 0)) is not None:
            self.receive(top.epoch, following)
        if held and self._top is not None:
            held.forget(self._top.offset)
        if not held:
            self._held = None
        return missed

    def receive_presence(self, push: Push) -> bool:
        """Take a join or a leave. Returns whether anybody asked for it."""
        if not self.watchers:
            return False
        if self._presence is None:
            self._presence = []
        self._presence.append(push)
        return True

    def anchor(self, position: Position) -> Received:
        """Say where the stream stands, when the first reader has learnt it; later calls change nothing.

        Returns:
            What the publications mean that arrived since.
        """
        received = Received.STALE
        if self.position is not None:
            return received
        self.position = self._top = position
        aside = self.aside
        if aside is not None:
            if aside.epoch != position.epoch:
                return Received.FOREIGN
            for publication in aside.list_between(position.offset, sys.maxsize):
                received = self.receive(position.epoch, publication)
        return received

    def list_arrived(self, epoch: str, after: int, until: int) -> list[Publication]:
        """Return those of the offsets `after` + 1 to `until` that arrived while somebody was on their way in."""
        aside = self.aside
        return aside.list_between(after, until) if aside is not None and aside.epoch == epoch else []

    def forget_position(self) -> None:
        """Know nothing of the stream any more; the next reader anchors it anew."""
        self.position = self._top = None
        self._pending, self._pending_bytes = None, 0
        self._held = None

    def _add(self, publication: Publication) -> None:
        if self._pending is None:
            self._pending = []
        self._pending.append(publication)
        self._pending_bytes += len(publication.data) + len(publication.info) + len(publication.tags)

    # Who listens

    def begin_entering(self) -> None:
        """A session is on its way in: keep aside what arrives until `end_entering`."""
        self.entering += 1

    def end_entering(self) -> None:
        """That session has gone live, or given up."""
        self.entering -= 1
        if not self.entering:
            self.aside = None

    def go_live(self, session: Member, *, watch: bool) -> None:
        """Deliver to `session` from `position` on."""
        self._use(session)
        self.live[session] = session.write
        if self.backlog is not None:
            self._not_behind(session, self.backlog)
        if watch:
            if self.watchers is None:
                self.watchers = set()
            self.watchers.add(session)

    def fall_behind(self, session: Member, backlogs: Backlogs) -> Backlog:
        """Deliver to `session` no longer; it stands at `position`, and will take what follows from the backlog."""
        self._use(session)
        if self.live.pop(session, None) is not None:
            self._serve(session)
        if self.backlog is None:
            self.backlog = backlogs.begin()
        self.backlog.readers[session] = self.backlog.next
        return self.backlog

    def _not_behind(self, session: Member, backlog: Backlog) -> None:
        if backlog.readers.pop(session, None) is not None and not backlog.readers:
            backlog.end()
            self.backlog = None

    def leave(self, session: Member) -> None:
        """Forget `session`."""
        if self._used is not None:
            self._use_no_longer(session, self._used)
        self.live.pop(session, None)
        if self.unserved is not None:
            self.unserved.pop(session, None)
        if self.backlog is not None:
            self._not_behind(session, self.backlog)
        if self.watchers is not None:
            self.watchers.discard(session)
        if not self.live and self.backlog is None:
            self._encoder = None

    def _has(self, session: Member) -> bool:
        return session in self.live or (self.backlog is not None and session in self.backlog.readers)

    def _use(self, session: Member) -> None:
        """Count the encoder of a session that is about to be here, unless it is here already."""
        encoder = session.encoder
        if self._used is None:
            if self._encoder is None or self._encoder is encoder:
                self._encoder = encoder
                return
            self._used = {self._encoder: len(self.live) + len(self.lagging)}
        if not self._has(session):
            self._used[encoder] = self._used.get(encoder, 0) + 1

    def _use_no_longer(self, session: Member, used: dict[FramedEncoder, int]) -> None:
        """The same for one that is about to leave."""
        if not self._has(session):
            return
        used[session.encoder] -= 1
        if not used[session.encoder]:
            del used[session.encoder]
        if len(used) == 1:
            self._encoder = next(iter(used))
            self._used = None

    # Delivery

    def flush(self, budget: int) -> int:
        """Write what is pending to at most `budget` sessions, more when called again.

        Args:
            budget: how many writes may be made now, at least one.

        Returns:
            How many writes were made.
        """
        written = 0
        if self._presence:
            written += self._tell_watchers()
        if self.unserved is None and self._pending:
            batches = self._begin()
            if len(self.live) <= budget:
                for session, write in tuple(self.live.items()):
                    write(batches[session.encoder])
                self._batches = None
                return written + len(self.live)
            self.unserved = dict(self.live)
        return written + self._slice(budget)

    def _begin(self) -> dict[FramedEncoder, bytes]:
        """Make one batch of all that is pending; from here on it counts as delivered."""
        pending = self._pending or []
        self._pending, self._pending_bytes = None, 0
        before, self.position = self.position, self._top
        name = self.name
        batches = self._batches = {each: each.publications(name, pending) for each in self.encoders}
        if self.backlog is not None:
            self.backlog.add(before.offset if before else 0, self.position, batches)
        return batches

    def _slice(self, budget: int) -> int:
        unserved, batches = self.unserved, self._batches
        if unserved is None or batches is None:
            return 0
        written = 0
        while unserved and written < budget:
            session, write = unserved.popitem()
            write(batches[session.encoder])
            written += 1
        if not unserved:
            self.unserved = self._batches = None
        return written

    def _serve(self, session: Member) -> None:
        """Write the batch that is under way to a session that will not wait for its slice."""
        if self.unserved is not None and self._batches is not None:
            write = self.unserved.pop(session, None)
            if write is not None:
                write(self._batches[session.encoder])

    def _tell_watchers(self) -> int:
        presence, self._presence = self._presence or [], None
        told = [session for session in self.watchers or () if session in self.live]
        batches = {each: each.pushes(self.name, presence) for each in {session.encoder for session in told}}
        for session in told:
            session.write(batches[session.encoder])
        return len(told)
