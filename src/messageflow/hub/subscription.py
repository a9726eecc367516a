"""One session in one channel: on what right it is there, how it shows, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

from messageflow.core.protocol import ClientInfo
from messageflow.core.stream import Position
from messageflow.hub.channel import Channel
from messageflow.hub.runtime import NEVER


class TokenMark(NamedTuple):
    """What is remembered of a token on which something stands.

    Args:
        issued_at: when it was made, as it says.
        name: the hash of its `jti`.
    """

    issued_at: float
    name: int


class Subscription:
    """One session in one channel.

    Attributes:
        server_side: made by the server; the client neither asked nor may unsubscribe.
        expires_at: when it ends unless refreshed, on the hub's clock.
        token: what it is known by of the token for it; None where there was none.
        info: how the session shows in presence, when it does.
        keep: whether it is shown among those who are present.
        tell: whether its join and leave are told to others.
        watch: whether it gets the joins and leaves of others.
        behind: where a lagging session stands; None while it is live.
    """

    __slots__ = ("behind", "channel", "expires_at", "info", "keep", "server_side", "tell", "token", "watch")

    def __init__(self, channel: Channel, server_side: bool) -> None:
        self.channel = channel
        self.server_side = server_side
        self.expires_at = NEVER
        self.token: TokenMark | None = None
        self.info: ClientInfo | None = None
        self.keep = False
        self.tell = False
        self.watch = False
        self.behind: Position | None = None

    @property
    def issued_at(self) -> float:
        """When the token for it was made; NEVER where there was none."""
        return NEVER if self.token is None else self.token.issued_at
