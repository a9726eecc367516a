"""One session in one channel: on what right it is there, how it shows, and where it stands; and all that one holds."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from messageflow.core.client_info import ClientInfo
from messageflow.core.stream import Position
from messageflow.hub.channel import Channel
from messageflow.hub.runtime import NEVER

FEW = 8  # subscriptions that are looked through as fast as a table is asked


class TokenMark(NamedTuple):
    """What is remembered of a token on which something stands.

    Args:
        issued_at: when it was made, as it says.
        name: the hash of its `jti`.
    """

    issued_at: float
    name: int


class Terms(NamedTuple):
    """How a session is in a channel, one object for all who are so.

    Args:
        server_side: the server made it; the client neither asked nor may unsubscribe.
        keep: whether it is shown among those who are present.
        tell: whether its join and leave are told to others.
        watch: whether it gets the joins and leaves of others.
    """

    server_side: bool
    keep: bool
    tell: bool
    watch: bool


terms = cache(Terms)


class Subscription(Struct, eq=False, gc=False):
    """One session in one channel. Small, for there are several to each connection (benchmarks: memory, 40 bytes each).

    Attributes:
        expires_at: when it ends unless refreshed, on the hub's clock.
        token: what it is known by of the token for it; None where there was none.
        info: how the session shows to others, where it does: in presence, in joins, or with its token's word for the
            channel beside what it publishes.
        behind: where a lagging session stands; None while it is live.
    """

    channel: Channel
    terms: Terms
    expires_at: float = NEVER
    token: TokenMark | None = None
    info: ClientInfo | None = None
    behind: Position | None = None

    @property
    def issued_at(self) -> float:
        """When the token for it was made; NEVER where there was none."""
        return NEVER if self.token is None else self.token.issued_at


class SubscriptionHolder:
    """What holds subscriptions: a few in a tuple, which takes 180 bytes less than a table (benchmarks: memory)."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: tuple[Subscription, ...] | dict[str, Subscription] = ()

    @property
    def subscriptions(self) -> Collection[Subscription]:
        """All of them; to be copied by who ends some meanwhile."""
        held = self._held
        return held if isinstance(held, tuple) else held.values()

    def find_subscription(self, channel: str) -> Subscription | None:
        """Return the one in a channel, None where there is none."""
        held = self._held
        if not isinstance(held, tuple):
            return held.get(channel)
        for each in held:
            if each.channel.name == channel:
                return each
        return None

    def is_in(self, channel: str) -> bool:
        """Whether there is one in a channel."""
        return self.find_subscription(channel) is not None

    def add_subscription(self, subscription: Subscription) -> None:
        """Hold one more, in the place of another in its channel."""
        name, held = subscription.channel.name, self._held
        if not held:
            self._held = (subscription,)
            return
        if isinstance(held, tuple):
            for each in held:
                if each.channel.name == name:
                    held = tuple([other for other in held if other is not each])
            if len(held) < FEW:
                self._held = (*held, subscription)
                return
            held = self._held = {each.channel.name: each for each in held}
        held.pop(name, None)
        held[name] = subscription

    def holds(self, subscription: Subscription) -> bool:
        """Whether it is still one of them."""
        held = self._held
        if isinstance(held, tuple):
            return subscription in held  # looks for the same object, and is asked often (benchmarks: connect)
        return held.get(subscription.channel.name) is subscription

    def take_all_subscriptions(self) -> tuple[Subscription, ...]:
        """Hold nothing any more. Returns what was held."""
        held, self._held = self._held, ()
        return held if isinstance(held, tuple) else tuple(held.values())

    def take_subscription(self, channel: str) -> Subscription | None:
        """Hold the one in a channel no longer. Returns it, None where there was none."""
        held = self._held
        if not isinstance(held, tuple):
            return held.pop(channel, None)
        found = self.find_subscription(channel)
        if found is not None:
            self._held = tuple([each for each in held if each is not found])
        return found
