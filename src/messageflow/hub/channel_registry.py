"""The channels of one worker: they come with the first session on its way in, and go with the last.

A channel is opened at the broker once, for all who wait for it, and closed there when it is abandoned. Owns the table
of channels. Never decides who may come in.
"""

from __future__ import annotations

import asyncio

from messageflow.brokers.base import Delivery
from messageflow.brokers.eager import resume
from messageflow.core.namespaces import NamespaceOptions
from messageflow.core.stream import Position
from messageflow.errors import BrokerError
from messageflow.hub.channel import Channel, Received
from messageflow.hub.fan_out import FanOut
from messageflow.hub.gap_repair import GapRepair
from messageflow.hub.occupancy import Occupancy
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.session import Session
from messageflow.hub.subscription import Subscription


class ChannelRegistry:
    """Who comes into which channel, and leaves it.

    Args:
        by_name: the channels that are there; the registry alone changes it.
        broker: delivers what is published in them.
        fan_out: writes what is pending in them.
        gap_repair: looks at those that are not known to be whole.
        presence: is told who left.
        occupancy: is told which channels have somebody, where the application wants to know.
    """

    def __init__(
        self,
        by_name: dict[str, Channel],
        broker: Delivery,
        fan_out: FanOut,
        gap_repair: GapRepair,
        presence: PresenceChanges,
        occupancy: Occupancy,
    ) -> None:
        self._by_name = by_name
        self._broker = broker
        self._fan_out = fan_out
        self._gap_repair = gap_repair
        self._presence = presence
        self._occupancy = occupancy

    def enter(self, name: str, options: NamespaceOptions) -> Channel:
        """Return the channel for a session on its way in; `end_entering` ends the way."""
        channel = self._by_name.get(name)
        if channel is None:
            channel = self._by_name[name] = Channel(name, options)
        channel.begin_entering()
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
            subscribing = self._broker.subscribe(channel.name)
            try:
                awaited = subscribing.send(None)
            except StopIteration as done:
                self._note_open(channel, done.value)
                return  # in one step, as at a broker of this process: nobody could come meanwhile
            channel.opening = opening = asyncio.get_running_loop().create_future()
            failure: BrokerError | None = None
            try:
                self._note_open(channel, await resume(subscribing, awaited))
            except BrokerError as error:
                failure = error
                raise
            finally:
                channel.opening = None
                opening.set_result(failure)

    def _note_open(self, channel: Channel, position: Position | None) -> None:
        channel.opened, channel.delivered_from = True, position
        if self._occupancy.is_wanted:
            self._occupancy.note(channel.name, occupied=True)

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
        if channel.end_entering():
            self._drop_if_abandoned(channel)

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
        if channel.leave(session):
            self._drop_if_abandoned(channel)
        if subscription.info is not None:
            self._presence.leave(channel.name, subscription.info, tell=subscription.terms.tell)

    def _drop_if_abandoned(self, channel: Channel) -> None:
        if channel.abandoned and self._by_name.get(channel.name) is channel:
            del self._by_name[channel.name]
            self._broker.unsubscribe(channel.name)
            if self._occupancy.is_wanted:
                self._occupancy.note(channel.name, occupied=False)
