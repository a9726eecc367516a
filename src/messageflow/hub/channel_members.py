"""Who listens in one channel within one worker: who is live, who fell behind, and what they are written with.

There is a channel for each user who is here, so it has to be small: one session alone takes no table, and what nearly
none has stands apart. Owns who is where. Synchronous: nothing here awaits or raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from messageflow.core.deltas import Base
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.protocol import Push
from messageflow.core.replay_buffer import ReplayBuffer
from messageflow.errors import BrokerError
from messageflow.hub.backlog import Backlog, Backlogs
from messageflow.hub.delta_readers import DeltaReaders
from messageflow.hub.reader_sample import ReadSample
from messageflow.hub.transport import Encoding, Member

Write = Callable[[bytes], None]

NOTHING = (None,) * 5


class Extras:
    """What a channel has only while it needs it, and nearly none does."""

    __slots__ = (
        "aside",
        "backlog",
        "batches",
        "deltas",
        "doubted",
        "excludes",
        "held",
        "opening",
        "presence",
        "sample",
        "unserved",
        "used",
        "watchers",
    )

    def __init__(self) -> None:
        self.aside: ReplayBuffer | None = None
        self.backlog: Backlog | None = None
        self.batches: dict[Encoding, bytes] | None = None
        self.deltas: DeltaReaders | None = None
        self.doubted = False
        self.excludes = False  # whether anything that is pending is not for everybody
        self.held: ReplayBuffer | None = None
        self.opening: asyncio.Future[BrokerError | None] | None = None
        self.presence: list[Push] | None = None
        self.sample: ReadSample | None = None
        self.unserved: dict[Member, Write] | None = None
        self.used: dict[Encoding, int] | None = None  # by how many each is used, where there are several
        self.watchers: set[Member] | None = None

    @property
    def are_needed(self) -> bool:
        """Whether there is anything here. The sample comes first: all of a crowd ask, one by one, as they come."""
        return (
            self.sample is not None
            or self.doubted
            or self.excludes
            or (self.aside, self.backlog, self.batches, self.held, self.opening) != NOTHING
            or (self.presence, self.unserved, self.used, self.watchers, self.deltas) != NOTHING
        )


NO_EXTRAS = Extras()  # never changed


class ChannelMembers:
    """The sessions of one channel.

    What is rare stands apart, and one session alone takes no table (benchmarks: memory, 300 bytes a connection).

    Args:
        name: of the channel.
        options: of its namespace.
    """

    __slots__ = ("_encoder", "_extras", "_live", "_only", "name", "options")

    def __init__(self, name: str, options: NamespaceOptions) -> None:
        self.name = name
        self.options = options
        self._only: Member | None = None  # the live session where there is but one
        self._live: dict[Member, Write] | None = None  # them all where there are several
        self._encoder: Encoding | None = None  # the one that all use, as nearly always
        self._extras = NO_EXTRAS

    def _have_extras(self) -> Extras:
        if self._extras is NO_EXTRAS:
            self._extras = Extras()
        return self._extras

    def _drop_extras(self) -> None:
        if not self._extras.are_needed:
            self._extras = NO_EXTRAS

    @property
    def live(self) -> Collection[Member]:
        """The sessions that get publications as they come."""
        if self._live is not None:
            return self._live
        return () if self._only is None else (self._only,)

    @property
    def backlog(self) -> Backlog | None:
        """The sessions that fell behind because their socket is slow, and what they are to be written."""
        return self._extras.backlog

    @property
    def lagging(self) -> Collection[Member]:
        """The sessions that fell behind."""
        backlog = self._extras.backlog
        return backlog.readers if backlog is not None else ()

    @property
    def sample(self) -> ReadSample | None:
        """Those of a crowd that are asked how far they have read."""
        return self._extras.sample

    def begin_sample(self) -> ReadSample:
        """Begin to count what is written, for those who are to be asked."""
        sample = self._have_extras().sample = ReadSample()
        return sample

    def end_sample(self) -> None:
        """Nobody is asked any more."""
        self._extras.sample = None
        self._drop_extras()

    @property
    def sessions(self) -> Iterator[Member]:
        """All sessions that hold a subscription, live or lagging."""
        yield from self.live
        yield from self.lagging

    @property
    def unserved(self) -> Collection[Member]:
        """The sessions to which the batch under way is still to be written."""
        return self._extras.unserved or ()

    @property
    def encoders(self) -> Collection[Encoding]:
        """What its sessions are written with: for these a publication is encoded, and for no other."""
        used = self._extras.used
        if used is not None:
            return used
        return (self._encoder,) if self._encoder is not None else ()

    def encoding_of(self, session: Member) -> Encoding:
        """Return what a session is to be written in now."""
        deltas = self._extras.deltas
        return session.encoder if deltas is None else deltas.encoding_of(session)

    def lasting_encoding_of(self, session: Member) -> Encoding:
        """Return what a session is written in once it was written anything."""
        deltas = self._extras.deltas
        return session.encoder if deltas is None else deltas.lasting_encoding_of(session)

    def send_deltas(self, session: Member, base: Base | None) -> None:
        """A session that is about to come asked for deltas, see `DeltaReaders.add`."""
        extras = self._have_extras()
        if extras.deltas is None:
            extras.deltas = DeltaReaders()
        extras.deltas.add(session, base)

    def note_written(self, session: Member, *, in_part: bool = False) -> None:
        """A session was written what follows where it stood, all of it or without what is not for it."""
        deltas = self._extras.deltas
        if deltas is not None:
            (deltas.begin_anew if in_part else deltas.note_written)(session)

    def go_live(self, session: Member, *, watch: bool) -> None:
        """Deliver to `session` from `position` on."""
        extras, encoder, only, live = self._extras, session.encoder, self._only, self._live
        if self._encoder is None and extras is NO_EXTRAS:
            self._encoder = encoder
        elif self._encoder is not encoder or extras is not NO_EXTRAS:
            self._use(session)
        if live is not None:
            live[session] = session.write
        elif only is None:
            self._only = session
        elif only is not session:
            self._live = {only: only.write, session: session.write}
            self._only = None
        if watch or extras is not NO_EXTRAS:
            self._note_extras(session, watch)

    def _note_extras(self, session: Member, watch: bool) -> None:
        extras = self._extras
        if extras.backlog is not None:
            self._not_behind(session, extras.backlog)
        if watch:
            extras = self._have_extras()
            if extras.watchers is None:
                extras.watchers = set()
            extras.watchers.add(session)

    def _take_out(self, session: Member) -> bool:
        """Take `session` out of the live ones. Returns whether it was one."""
        live = self._live
        if live is None:
            was_live = self._only is session
            if was_live:
                self._only = None
            return was_live
        was_live = live.pop(session, None) is not None
        if len(live) == 1:
            (self._only,) = live
            self._live = None
        return was_live

    def fall_behind(self, session: Member, backlogs: Backlogs) -> Backlog:
        """Deliver to `session` no longer; it stands at `position`, and will take what follows from the backlog."""
        self._use(session)
        if self._take_out(session):
            self._serve(session)
        extras = self._have_extras()
        if extras.backlog is None:
            extras.backlog = backlogs.begin()
        extras.backlog.readers[session] = extras.backlog.next
        return extras.backlog

    def _not_behind(self, session: Member, backlog: Backlog) -> None:
        if backlog.readers.pop(session, None) is not None and not backlog.readers:
            backlog.end()
            self._extras.backlog = None
            self._drop_extras()

    def leave(self, session: Member) -> bool:
        """Forget `session`. Returns whether nobody is live any more."""
        extras = self._extras
        if extras is NO_EXTRAS:
            if self._only is session:  # as nearly always in a channel of one user
                self._only = self._encoder = None
                return True
            self._take_out(session)
        else:
            if extras.used is not None:
                self._use_no_longer(session, extras.used)
            self._take_out(session)
            if extras.unserved is not None:
                extras.unserved.pop(session, None)
            if extras.backlog is not None:
                self._not_behind(session, extras.backlog)
            if extras.watchers is not None:
                extras.watchers.discard(session)
            if extras.deltas is not None:
                self._send_no_deltas(session, extras.deltas)
        is_live = self._only is not None or self._live is not None
        if not is_live and self._extras.backlog is None:
            self._encoder = None
        return not is_live

    def _send_no_deltas(self, session: Member, deltas: DeltaReaders) -> None:
        deltas.remove(session)
        if not deltas:
            self._extras.deltas = None
            self._drop_extras()

    def _has(self, session: Member) -> bool:
        return session in self.live or session in self.lagging

    def _use(self, session: Member) -> None:
        """Count the encoder of a session that is about to be here, unless it is here already."""
        encoder = self.lasting_encoding_of(session)
        used = self._extras.used
        if used is None:
            if self._encoder is None or self._encoder is encoder:
                self._encoder = encoder
                return
            used = self._have_extras().used = {self._encoder: len(self.live) + len(self.lagging)}
        if not self._has(session):
            used[encoder] = used.get(encoder, 0) + 1

    def _use_no_longer(self, session: Member, used: dict[Encoding, int]) -> None:
        """The same for one that is about to leave."""
        if not self._has(session):
            return
        encoder = self.lasting_encoding_of(session)
        used[encoder] -= 1
        if not used[encoder]:
            del used[encoder]
        if len(used) == 1:
            self._encoder = next(iter(used))
            self._extras.used = None

    def _serve(self, session: Member) -> None:
        """Write the batch that is under way to a session that will not wait for its slice."""
        extras = self._extras
        if extras.unserved is not None and extras.batches is not None:
            write = extras.unserved.pop(session, None)
            if write is not None:
                encoding = self.encoding_of(session)
                self.note_written(session)
                write(extras.batches[encoding])
