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
from collections.abc import Iterable
from enum import Enum

from messageflow.core.exclusion import leave_out, list_excluded
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.protocol import Push
from messageflow.core.replay_buffer import ReplayBuffer
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError
from messageflow.hub.channel_members import NO_EXTRAS, ChannelMembers, Extras
from messageflow.hub.reader_sample import CROWD
from messageflow.hub.transport import Encoding, Member

USUAL = (None,) * 4
PENDING_BYTES = 1 << 20  # what comes from the history, rather than as it happens, waits while so much is pending


class Received(Enum):
    """What a publication that arrived means."""

    PENDING = "pending"  # to be flushed
    ASIDE = "aside"  # nobody is live yet; those on their way in will merge it
    STALE = "stale"  # delivered before
    GAP = "gap"  # something before it was missed; it is held until the history has given that
    FOREIGN = "foreign"  # of another epoch: the stream they knew is gone


_PENDING = Received.PENDING


class Channel(ChannelMembers):
    """The sessions of one channel on this worker.

    There is one for each user who is here, so that it is small, see `ChannelMembers`.

    Attributes:
        name: its name.
        options: of its namespace.
        position: where every live session stands; None until the first one has read it from the broker.
        opened: whether the broker delivers, see `ChannelRegistry.open`.
        marked: whether it waits in the hub for a flush.
        entering: how many sessions are on their way in; while there are any, arrivals are also kept `aside`.
        delivered_from: where the stream stood when the broker began to deliver it, where that was told.
    """

    __slots__ = ("_pending", "_top", "delivered_from", "entering", "marked", "opened", "position")

    def __init__(self, name: str, options: NamespaceOptions) -> None:
        self.name, self.options = name, options  # and so on, in the place of a call of super's (benchmarks: connect)
        self._only = self._live = self._encoder = None
        self._extras = NO_EXTRAS
        self.position: Position | None = None
        self.opened = False
        self.marked = False
        self.entering = 0
        self.delivered_from: Position | None = None
        self._top: Position | None = None  # after all that was received, pending or not
        self._pending: list[Publication] | None = None

    @property
    def opening(self) -> asyncio.Future[BrokerError | None] | None:
        """What is done once the broker was asked to deliver, while somebody asks it to."""
        return self._extras.opening

    @opening.setter
    def opening(self, opening: asyncio.Future[BrokerError | None] | None) -> None:
        self._have_extras().opening = opening
        self._drop_extras()

    @property
    def doubted(self) -> bool:
        """Whether the broker may have missed something before the position was known."""
        return self._extras.doubted

    @doubted.setter
    def doubted(self, doubted: bool) -> None:
        if doubted or self._extras is not NO_EXTRAS:
            self._have_extras().doubted = doubted

    @property
    def aside(self) -> ReplayBuffer | None:
        """What arrived while somebody was on their way in."""
        return self._extras.aside

    @property
    def top(self) -> Position | None:
        """The point after all that was received without a gap, flushed or not."""
        return self._top

    @property
    def holds(self) -> bool:
        """Whether anything waits for what is missing before it."""
        return bool(self._extras.held)

    @property
    def abandoned(self) -> bool:
        """Whether nobody is here or on the way in."""
        return self._only is None and self._live is None and not self.entering and self._extras.backlog is None

    @property
    def dirty(self) -> bool:
        """Whether a flush has something to do."""
        return bool(self._pending or self._extras.presence or self._extras.unserved)

    @property
    def pending_bytes(self) -> int:
        """How many bytes wait for a flush."""
        return sum([len(p.data) + len(p.info) + len(p.tags) for p in self._pending or ()])

    @property
    def full(self) -> bool:
        """Whether as much is pending as one flush should join."""
        return self.pending_bytes >= PENDING_BYTES

    # What arrives

    def receive(self, epoch: str, publication: Publication) -> Received:
        """Take a publication from the broker."""
        if publication.offset:
            if self.entering:
                extras = self._have_extras()
                if extras.aside is None:
                    extras.aside = ReplayBuffer()
                extras.aside.put(epoch, publication)
            top = self._top
            if top is None:
                return Received.ASIDE
            if epoch != top.epoch:
                return Received.FOREIGN
            if publication.offset > top.offset + 1:
                extras = self._have_extras()
                if extras.held is None:
                    extras.held = ReplayBuffer()
                extras.held.put(epoch, publication)
                return Received.GAP
            if publication.offset <= top.offset:
                return Received.STALE
            self._top = Position(epoch, publication.offset, publication.tag)
        self._add(publication)
        return _PENDING

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
        held = self._extras.held
        while held and (following := held.pop(self._top.offset + 1 if self._top else 0)) is not None:
            self.receive(top.epoch, following)
        if held and self._top is not None:
            held.forget(self._top.offset)
        if held is not None and not held:
            self._extras.held = None
        return missed

    def receive_presence(self, push: Push) -> bool:
        """Take a join or a leave. Returns whether anybody asked for it, or may do so who is on the way in."""
        extras = self._extras
        if not extras.watchers:
            if not self.entering:
                return False
            extras = self._have_extras()
        if extras.presence is None:
            extras.presence = []
        extras.presence.append(push)
        return True

    def open_at(self, position: Position | None) -> None:
        """The broker delivers from now on, and said in the step in which it was asked where the stream stands."""
        self.opened = True
        self.delivered_from = position
        if self.position is None and self._extras is NO_EXTRAS and self.options.keeps_history:
            self.position = self._top = position

    def anchor(self, position: Position) -> Received:
        """Say where the stream stands, when the first reader has learnt it; later calls change nothing.

        Returns:
            What the publications mean that arrived since.
        """
        received = Received.STALE
        if self.position is not None:
            return received
        self.position = self._top = position
        aside = self._extras.aside
        if aside is not None:
            if aside.epoch != position.epoch:
                return Received.FOREIGN
            for publication in aside.list_between(position.offset, sys.maxsize):
                received = self.receive(position.epoch, publication)
        return received

    def list_arrived(self, epoch: str, after: int, until: int) -> list[Publication]:
        """Return those of the offsets `after` + 1 to `until` that arrived while somebody was on their way in."""
        aside = self._extras.aside
        return aside.list_between(after, until) if aside is not None and aside.epoch == epoch else []

    def forget_position(self) -> None:
        """Know nothing of the stream any more; the next reader anchors it anew."""
        self.position = self._top = None
        self._pending = None
        if self._extras is not NO_EXTRAS:
            self._extras.held = None
            self._extras.excludes = False
            if self._extras.deltas is not None:
                self._extras.deltas.forget_base()

    def _add(self, publication: Publication) -> None:
        if self._pending is None:
            self._pending = []
        self._pending.append(publication)
        if publication.exclude:
            self._have_extras().excludes = True

    # Who listens

    def begin_entering(self) -> None:
        """A session is on its way in: keep aside what arrives until `end_entering`."""
        self.entering += 1

    def end_entering(self) -> None:
        """That session has gone live, or given up."""
        self.entering -= 1
        if not self.entering and self._extras is not NO_EXTRAS:
            self._extras.aside = None
            self._drop_extras()

    def let_in(self, session: Member, watch: bool) -> bool:
        """A session that was on its way in goes live: `go_live` and `end_entering` in one (benchmarks: connect).

        Returns:
            Whether there are now as many as make a crowd.
        """
        live, extras = self._live, self._extras
        is_usual = not watch and (extras.aside, extras.backlog, extras.deltas, extras.used) == USUAL
        if live is not None and is_usual and self._encoder is session.encoder:
            live[session] = session.write
            self.entering -= 1
            return len(live) == CROWD
        self.go_live(session, watch=watch)
        self.end_entering()
        return len(self.live) == CROWD

    # Delivery

    def flush(self, budget: int) -> int:
        """Write what is pending to at most `budget` sessions, more when called again.

        Args:
            budget: how many writes may be made now, at least one.

        Returns:
            How many writes were made.
        """
        written, extras = 0, self._extras
        if extras.presence:
            written += self._tell_watchers(extras)
        if extras.unserved is None and self._pending:
            if extras.excludes:
                return written + self._begin_apart(self._pending, extras) + self._slice(budget)
            if extras.deltas is not None:
                extras.unserved, extras.batches = {each: each.write for each in self.live}, self._begin()
                return written + self._slice(budget)
            batches = self._begin()
            only, live = self._only, self._live
            if live is None:
                if only is not None:
                    only.write(batches[only.encoder])
                    written += 1
                return written
            if len(live) <= budget:
                for session, write in tuple(live.items()):
                    write(batches[session.encoder])
                return written + len(live)
            extras = self._have_extras()
            extras.unserved, extras.batches = dict(live), batches
        return written + self._slice(budget)

    def _begin(self) -> dict[Encoding, bytes]:
        """Make one batch of all that is pending; from here on it counts as delivered."""
        pending, self._pending = self._pending or [], None
        before, self.position = self.position, self._top
        name, secret = self.name, not self.options.compress
        deltas = self._extras.deltas
        if deltas is None:
            batches = {each: each.publications(name, pending, secret=secret) for each in self.encoders}
        else:
            always = self.options.delta_publish
            batches = deltas.encode(name, pending, self.encoders, secret=secret, always=always)
        backlog = self._extras.backlog
        if backlog is not None:
            start = before.offset if before else 0
            backlog.add(start, self.position, batches, pending if self._extras.excludes else ())
        sample = self._extras.sample
        if sample is not None:
            sample.note_written(batches, kept=backlog is not None)
        return batches

    def _begin_apart(self, pending: list[Publication], extras: Extras) -> int:
        """Begin a batch of which not everything is for everybody: who is left out of something is served first."""
        batches = self._begin()
        extras.excludes = False
        excluded = dict.fromkeys(list_excluded(self.live, pending))
        extras.unserved = {session: session.write for session in self.live if session not in excluded}
        extras.batches = batches
        for session in excluded:
            data = self.encoding_of(session).mixed(self.name, leave_out(pending, session))
            self.note_written(session, in_part=True)
            if data:
                session.write(data)
        return len(excluded)

    def _slice(self, budget: int) -> int:
        extras = self._extras
        unserved, batches = extras.unserved, extras.batches
        if unserved is None or batches is None:
            return 0
        written, deltas = 0, extras.deltas
        while deltas is not None and unserved and written < budget:
            session, write = unserved.popitem()
            encoding = deltas.encoding_of(session)
            deltas.note_written(session)
            write(batches[encoding])
            written += 1
        while unserved and written < budget:
            session, write = unserved.popitem()
            write(batches[session.encoder])
            written += 1
        if not unserved:
            extras.unserved = extras.batches = None
        return written

    def _tell_watchers(self, extras: Extras) -> int:
        presence, extras.presence = extras.presence or [], None
        live = self.live
        told = [session for session in extras.watchers or () if session in live]
        batches = {each: each.pushes(self.name, presence) for each in {session.encoder for session in told}}
        for session in told:
            session.write(batches[session.encoder])
        return len(told)
