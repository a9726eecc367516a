"""How a session comes into a channel, with what it missed: register, read, merge, answer, go live.

Whether it may come is decided before, in `hub.commands`.

The way in has two halves. `prepare` awaits: it makes the broker deliver and reads the history. `complete` is one
synchronous step: at that moment it knows where the channel's live sessions stand, merges up to there, and makes the
session one of them. What is published in between waits in the channel's `aside`.

A long recovery is not answered in one piece: its first chunk is, and the session goes on as one that lags, reading
chunk by chunk from the history until it has caught up. So does a session that has seen more, on another worker, than
the broker has delivered to this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from messageflow.brokers.base import HistoryPart
from messageflow.brokers.eager import Begun, begin, resume
from messageflow.core.claims import SubscribeOptions
from messageflow.core.client_info import ClientInfo
from messageflow.core.exclusion import leave_out
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.protocol import Moved, SubscribeRequest, SubscribeResult, raw, view
from messageflow.core.recovery_merge import merge
from messageflow.core.stream import Position, Publication
from messageflow.core.weights import chunk, weigh
from messageflow.errors import BrokerError, Unrecoverable
from messageflow.hub.runtime import NEVER
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.subscription import Subscription, terms

_tuple = tuple.__new__  # a fifth of what the class's own takes (benchmarks: connect)


class Recovery:
    """One session on its way into one channel. Either `complete` or `abandon` ends it.

    Args:
        services: the parts of the hub it uses.
        session: that comes.
        name: the channel.
        options: what the channel does, as far as this session is concerned.
        request: what the client asked or presented; its position counts when `recover` is set.
        server_side: whether the server makes this subscription.
    """

    # What is so at first, and stays so for nearly all, is said once and not for each (benchmarks: connect).
    _history: HistoryPart | None = None
    _since: Position | None = None  # where the session resumes; None when it begins at the top
    _position = Position("", 0)
    _data = b""  # JSON for the client, in the result
    _chan_info = b""  # JSON that others see of this client in this channel
    _ended = False
    _moved: Moved | None = None  # how far the answer goes, where its end is not for this client
    carried = 0  # bytes of publications, about, that will travel in the answer
    room = 0  # bytes of publications that may

    def __init__(
        self,
        services: Services,
        session: Session,
        name: str,
        options: NamespaceOptions,
        request: SubscribeRequest,
        server_side: bool,  # by its place: a class that is called with a name makes a dict of it (benchmarks: connect)
    ) -> None:
        self._services = services
        self._session = session
        self._options = options
        self._request = request
        keeps_history = options.keeps_history
        self.recoverable = recoverable = keeps_history and (
            options.force_recovery or (options.allow_recovery and (request.recoverable or request.recover))
        )
        self.positioned = recoverable or (
            keeps_history and (options.force_positioning or (options.allow_positioning and request.positioned))
        )
        self._wants_more = request.recover and recoverable  # it presents where it stood
        if self._wants_more:
            self.room = services.runtime.limits.history.chunk_bytes
        self.channel = services.channels.enter(name, options)
        watch = options.force_push_join_leave or (options.join_leave and request.join_leave)
        self.subscription = Subscription(self.channel, terms(server_side, options.presence, options.join_leave, watch))
        session.add_subscription(self.subscription)

    def apply(self, options: SubscribeOptions, expires_at: float = NEVER) -> None:
        """Take over what a token or the API says about this subscription; `expires_at` is on the hub's clock."""
        self._data = options.data or b""
        self._chan_info = options.info or b""
        self.subscription.expires_at = expires_at

    def prepare(self) -> Coroutine[Any, Any, None] | None:
        """Make the broker deliver the channel, read what the session needs, enter it into presence.

        Returns:
            What is to be awaited at once. None where all is done: the session missed nothing, and the broker is one of
            this process, so that it took one step, and no coroutine (benchmarks: connect). Cancelling it abandons the
            entry, and so does the end of the session meanwhile.

        Raises:
            BrokerError: the broker failed; the entry is abandoned.
        """
        services, channel = self._services, self.channel
        _, keep, tell, _ = self.subscription.terms
        appears = keep or tell
        if not appears and channel.opened and not self._wants_more and self._stand():
            return None
        if self._wants_more or (appears and services.presence.is_changing(channel.name, self._session.client)):
            return self._prepare(appears)
        appearing = opening = None
        try:
            if appears and (entering := self._enter_with_channel()) is not None:
                appears, opening = False, services.channels.begin_opening(channel, entering)
            elif tell and not channel.opened:
                return self._prepare(appears)
            elif appears:  # what it asks travels with what the channel asks: one round trip, not two
                appears, appearing = False, self._begin_to_appear()
            if opening is None and appearing is None and not channel.opened and channel.opening is None:
                opening = services.channels.begin_opening(channel)
        except BrokerError:
            self.abandon()
            raise
        if appearing is None and channel.opened and self._stand():
            return None
        return self._prepare(appears, appearing, opening)

    def _stand(self) -> bool:
        """Begin at the top of an open channel, and return True, where that takes no read."""
        if not self._options.keeps_history:
            return True
        position = self.channel.position
        if position is None:
            return False
        self._history = _tuple(HistoryPart, ([], position))
        return True

    async def _prepare(self, appears: bool, appearing: Begun | None = None, opening: Begun | None = None) -> None:
        """Do what is left of it.

        Args:
            appears: whether it is still to be entered into presence.
            appearing: how that goes on, where it was begun.
            opening: how the opening of the channel goes on, where it was begun.
        """
        try:
            if opening is None and appears and (entering := self._enter_with_channel()) is not None:
                appears, opening = False, self._services.channels.begin_opening(self.channel, entering)
            if opening is not None:
                await resume(*opening)
            elif not self.channel.opened:
                if appears:
                    appears, appearing = False, await self._open_and_appear()
                else:
                    await self._services.channels.open(self.channel)
            if self._options.keeps_history:
                self._history = self._stand_at_top() or await self._read()
            if appearing is not None:
                begun, appearing = appearing, None
                await resume(*begun)
            elif appears:
                await self._appear()
            if self._session.closed:
                raise asyncio.CancelledError
        except BaseException as error:
            await self._settle(appearing, error)
            self.abandon()
            if self._session.closed:
                raise asyncio.CancelledError from error  # whatever else went wrong, nobody is there to be told
            raise

    async def _open_and_appear(self) -> Begun | None:
        """Have the channel delivered and then enter, so that the session hears its own join; returns what is left."""
        opening, appearing = begin(self._services.channels.open(self.channel)), None
        try:
            appearing = begin(self._appear())
            if opening is not None:
                begun, opening = opening, None
                await resume(*begun)
        except BaseException as error:
            if opening is not None:  # others may wait for it
                self._services.runtime.spawn(resume(*opening), name="opening")
            await self._settle(appearing, error)
            raise
        return appearing

    def _stand_at_top(self) -> HistoryPart | None:
        """Return where the channel stands, None where that takes a read, or the session wants more."""
        position = self._known_position
        return None if position is None or self._wants_more else HistoryPart([], position)

    @property
    def _known_position(self) -> Position | None:
        """Where the channel stands, or stood at a time since which all that came is kept aside."""
        return self.channel.position or self.channel.delivered_from

    async def _read(self) -> HistoryPart:
        services, channel, request = self._services, self.channel, self._request
        reader = services.history_reader
        if self._wants_more:
            if self._options.force_recovery_mode == "cache":
                return await reader.read_newest(channel)
            since = Position(request.epoch, request.offset, request.tag)
            if not since.epoch:
                since = Position((await reader.read_position(channel)).position.epoch, since.offset)
            if self._stands_where_the_others_do(since):
                self._since = since
                return HistoryPart([], since)
            try:
                # Without pace or room nothing of it will travel in the answer, only whether it can be had.
                most = services.runtime.limits.history.history_limit
                limit = 1 if services.recovery_limiter.debt or self.room <= 0 else most
                history = await reader.read_since(channel, since, limit)
            except Unrecoverable:
                pass
            else:
                self._since = since
                first = self._take_first(history.publications)
                self.carried = weigh(first)
                return history._replace(publications=first)
        if channel.position is not None:
            return HistoryPart([], channel.position)
        return await reader.read_position(channel)

    def _stands_where_the_others_do(self, since: Position) -> bool:
        """Whether the session missed nothing, as far as can be told without a read: most of those in a storm."""
        live = self._known_position
        return live is not None and live[:2] == since[:2] and since.tag in ("", live.tag)

    async def _appear(self) -> None:
        session, name, presence = self._session, self.channel.name, self._services.presence
        if presence.is_changing(name, session.client):
            await presence.wait_until_settled(name, session.client)
        appearing = self._begin_to_appear()
        if appearing is not None:
            await resume(*appearing)

    def _begin_to_appear(self) -> Begun | None:
        """Begin to enter the session into presence, in which nothing of it is changing."""
        session, subscription = self._session, self.subscription
        if self.is_void or session.info is None:
            return None
        info = self._show(session.info)
        _, keep, tell, _ = subscription.terms
        return self._services.presence.begin_join(self.channel.name, info, keep=keep, tell=tell)

    def _enter_with_channel(self) -> Coroutine[Any, Any, Position | None] | None:
        """Return what enters the session and opens the channel; None where these are two questions."""
        presence, channel, session = self._services.presence, self.channel, self._session
        info = session.info
        if not presence.enters_in_one or channel.opened or channel.opening is not None or self.is_void or info is None:
            return None
        if presence.is_changing(channel.name, session.client):
            return None
        _, keep, tell, _ = self.subscription.terms
        return presence.enter(channel.name, self._show(info), keep=keep, tell=tell)

    def _show(self, info: ClientInfo) -> ClientInfo:
        """Return what others see of the client in this channel, from here on until it has left."""
        if self._chan_info:
            info = msgspec.structs.replace(info, chan_info=raw(self._chan_info))
        self.subscription.info = info
        return info

    async def _settle(self, appearing: Begun | None, error: BaseException) -> None:
        """See an appearance under way to its end, so that the leave that follows it comes after it."""
        if appearing is None:
            return
        if not isinstance(error, BrokerError):
            appearing[0].close()
            return
        try:
            await resume(*appearing)
        except BrokerError:
            pass

    def abandon(self) -> None:
        """Give up: the session is as if it had never come. Calling it again, or too late, does nothing."""
        if not self._ended:
            self._ended = True
            if not self.is_void:
                self._services.channels.leave(self._session, self.channel.name)
            self._services.channels.end_entering(self.channel)

    @property
    def is_void(self) -> bool:
        """Whether the server has ended the subscription while it was on its way; then `abandon` it.

        To be asked right before `complete`, without awaiting in between.
        """
        return not self._session.holds(self.subscription)

    def complete(self) -> SubscribeResult:
        """Decide what the session gets with its answer. Follow it with `go_live`, without awaiting in between."""
        services, channel, history = self._services, self.channel, self._history
        expires = self.subscription.expires_at != NEVER
        ttl = services.runtime.time_to_refresh(self.subscription.expires_at) if expires else 0
        data = raw(self._data) if self._data else UNSET
        if self._chan_info and self.subscription.info is None and self._session.info is not None:
            self._show(self._session.info)  # nobody sees it come, but what it publishes
        if history is None:
            return SubscribeResult(expires, ttl, data=data, was_recovering=self._request.recover)
        if channel.position is None:
            services.channels.anchor(channel, history.position)
        if not self.positioned:
            return SubscribeResult(expires, ttl, data=data, was_recovering=self._request.recover)
        self._position = position = channel.position or history.position
        if self._request.recover:
            return self._complete_recovery(history, expires, ttl, data)
        epoch, offset, tag = position
        return SubscribeResult(
            expires, ttl, self.recoverable, epoch, offset=offset, tag=tag, positioned=True, data=data
        )

    def _complete_recovery(
        self, history: HistoryPart, expires: bool, ttl: int, data: Raw | UnsetType
    ) -> SubscribeResult:
        """Return what the session gets that was here before, and presented where it stood."""
        counters = self._services.runtime.counters
        publications = self._collect_missed(history)
        recovered = publications is not None
        if publications and any(publication.exclude for publication in publications):
            publications = self._leave_out(publications)
        counters.recovered += recovered
        counters.unrecovered += not recovered
        start = self._since if self._since is not None and recovered else self._position
        return SubscribeResult(
            expires,
            ttl,
            recoverable=self.recoverable,
            positioned=True,
            epoch=start.epoch,
            offset=start.offset,
            tag=start.tag,
            publications=list(map(view, publications or ())),
            recovered=recovered,
            was_recovering=True,
            data=data,
        )

    def _collect_missed(self, history: HistoryPart) -> list[Publication] | None:
        """What to send with the answer, or None when it cannot be recovered."""
        if self._options.force_recovery_mode == "cache":
            newest, position, held = history.publications[-1:], self._position, self._request
            if newest and newest[0].offset == position.offset:
                has_it = (held.epoch, held.offset) == position[:2] and held.tag in ("", position.tag)
                return [] if has_it else newest
            return None
        if self._since is None:
            return None
        since, epoch, until = self._since, self._position.epoch, self._position.offset
        if since.epoch != epoch:
            return None
        arrived = self.channel.list_arrived(epoch, history.position.offset, until)
        run = merge(history.publications, arrived, after=since.offset, until=until)
        if run is None:  # there is more, and the history has it by now
            run = [p for p in history.publications if p.offset <= until]
        first = self._take_first(run) if arrived else run  # what was read is no more than there is room for
        if first and not self._services.recovery_limiter.take(weigh(first)):
            first = []
        offset, tag = (first[-1].offset, first[-1].tag) if first else (since.offset, since.tag)
        if offset != until:  # a long recovery, or a session that has seen more than was delivered here yet
            self.subscription.behind = Position(epoch, offset, tag)
        return first

    def _leave_out(self, publications: list[Publication]) -> list[Publication]:
        """Return what is for this client, and note where that ends before the others do."""
        sent = leave_out(publications, self._session)
        if isinstance(sent[-1], Moved):
            self._moved = sent[-1]
        return [each for each in sent if isinstance(each, Publication)]

    def _take_first(self, publications: list[Publication]) -> list[Publication]:
        """Return as many of the publications as there is room for, at least one where there is any."""
        most = self._services.runtime.limits.history.history_limit
        return chunk(publications, most, self.room) if self.room > 0 else []

    def catch_up_from(self, position: Position) -> None:
        """Send what was missed as publications after the answer, instead of within it."""
        self.subscription.behind, self._moved = position, None

    def go_live(self) -> None:
        """Deliver to the session from here on. Comes right after the answer was written."""
        session, subscription, channel = self._session, self.subscription, self.channel
        self._ended = True
        if self._moved is not None:
            session.push(channel.name, self._moved)
        if not session.paused and subscription.behind is None:
            if channel.let_in(session, subscription.terms[3]):
                self._services.read_probes.begin(channel)
            return
        subscription.behind = subscription.behind or channel.position
        self._services.lagging.begin(session, subscription)
        self._services.channels.end_entering(channel)
