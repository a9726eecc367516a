"""The channels of one worker: they come with the first session on its way in, and go with the last.

A channel is opened at the broker once, for all who wait for it, and closed there when it is abandoned. Owns the table
of channels. Never decides who may come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from messageflow.brokers.base import Delivery
from messageflow.brokers.eager import Begun, Done, begin, resume
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.stream import Position
from messageflow.errors import BrokerError
from messageflow.hub.channel import Channel, Received
from messageflow.hub.fan_out import FanOut
from messageflow.hub.gap_repair import GapRepair
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.occupancy import Occupancy
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.session import Session
from messageflow.hub.subscription import Subscription

Subscribing = Coroutine[Any, Any, Position | None]


class ChannelRegistry:
    """Who comes into which channel, and leaves it.

    Args:
        by_name: the channels that are there; the registry alone changes it.
        broker: delivers what is published in them.
        fan_out: writes what is pending in them.
        gap_repair: looks at those that are not known to be whole.
        presence: is told who left.
        occupancy: is told which channels have somebody, where the application wants to know.
        hooks: those of the application, if it has any.
    """

    def __init__(
        self,
        by_name: dict[str, Channel],
        broker: Delivery,
        fan_out: FanOut,
        gap_repair: GapRepair,
        presence: PresenceChanges,
        occupancy: Occupancy,
        hooks: HookCalls,
    ) -> None:
        self._by_name = by_name
        self._broker = broker
        self._fan_out = fan_out
        self._gap_repair = gap_repair
        self._presence = presence
        self._occupancy = occupancy
        self._hooks = hooks

    def enter(self, name: str, options: NamespaceOptions) -> Channel:
        """Return the channel for a session on its way in; `end_entering` ends the way."""
        channel = self._by_name.get(name)
        if channel is None:
            channel = self._by_name[name] = Channel(name, options)
        channel.entering += 1
        return channel

    async def open(self, channel: Channel) -> None:
        """Return once the broker delivers the channel. The first to come asks it, and the next where the first left.

        Raises:
            BrokerError: it failed, and fails for all who waited: one after the other would wait as long again.
        """
        while not channel.opened:
            if channel.opening is not None:
                failed = await asyncio.shield(channel.opening)
                if failed is not None:
                    raise BrokerError(str(failed)) from failed
                continue
            opening = self.begin_opening(channel)
            if opening is not None:
                await resume(*opening)

    def begin_opening(self, channel: Channel, subscribing: Subscribing | None = None) -> Begun | None:
        """Ask the broker to deliver a channel, which nobody else is asking. Returns what is to be awaited, by `resume`.

        None where it delivers already: in one step, as at a broker of this process, and so nobody could come meanwhile.

        Args:
            channel: which.
            subscribing: what asks the broker for it, and for more, where that is more than to subscribe.

        Raises:
            BrokerError: it failed.
        """
        subscribing = subscribing or self._broker.subscribe(channel.name)
        if type(subscribing) is not Done:
            return begin(self._finish_opening(channel, subscribing))
        channel.open_at(subscribing.result)
        if self._hooks.any and self._occupancy.is_wanted:
            self._occupancy.note(channel.name, occupied=True)
        return None

    async def _finish_opening(self, channel: Channel, subscribing: Subscribing) -> None:
        channel.opening = opening = asyncio.get_running_loop().create_future()
        failure: BrokerError | None = None
        try:
            channel.delivered_from = await subscribing
            channel.opened = True
            if self._occupancy.is_wanted:
                self._occupancy.note(channel.name, occupied=True)
        except BrokerError as error:
            failure = error
            raise
        finally:
            channel.opening = None
            opening.set_result(failure)

    def anchor(self, channel: Channel, position: Position) -> None:
        """Say where the stream of a channel stands, which was not known yet."""
        received, doubted = channel.anchor(position), channel.doubted
        if channel.dirty:
            self._fan_out.mark(channel)
        if received is Received.GAP:
            self._gap_repair.report_gap(channel)
        elif received is Received.FOREIGN or doubted:
            self._gap_repair.look_at(channel)
        if doubted:
            channel.doubted = False

    def end_entering(self, channel: Channel) -> None:
        """A session is in the channel, or will not come."""
        channel.end_entering()
        if channel.abandoned:
            self._drop(channel)

    def leave(self, session: Session, name: str) -> None:
        """Take a session out of a channel; one that is not in it is no error."""
        subscription = session.take_subscription(name)
        if subscription is not None:
            self._let_go(session, subscription)

    def leave_all(self, session: Session) -> None:
        """Take a session that has ended out of all its channels."""
        for subscription in session.take_all_subscriptions():
            self._let_go(session, subscription)

    def _let_go(self, session: Session, subscription: Subscription) -> None:
        channel = subscription.channel
        if channel.leave(session) and channel.abandoned:
            self._drop(channel)
        terms = subscription.terms
        if subscription.info is not None and (terms.keep or terms.tell):
            self._presence.leave(channel.name, subscription.info, tell=terms.tell)

    def _drop(self, channel: Channel) -> None:
        """Nobody is in a channel, or on the way in."""
        name = channel.name
        if self._by_name.get(name) is channel:
            del self._by_name[name]
            self._broker.unsubscribe(name)
            if self._hooks.any and self._occupancy.is_wanted:
                self._occupancy.note(name, occupied=False)
