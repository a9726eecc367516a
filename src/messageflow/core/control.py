"""Decisions about users that every worker must carry out: disconnect, subscribe, unsubscribe, refresh.

The API makes one a control message; the broker hands it to all workers; each applies it to the sessions it has
(`hub.control_handler`). Pure.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from messageflow.core.claims import SubscribeOptions
from messageflow.core.codes import FORCE_DISCONNECT
from messageflow.core.protocol import StreamPosition


class DisconnectUser(Struct, frozen=True, tag="disconnect"):
    """End the connections of a user, but those named in `spare`."""

    user: str
    client: str = ""
    spare: frozenset[str] = frozenset()
    code: int = FORCE_DISCONNECT.code
    reason: str = FORCE_DISCONNECT.reason


class SubscribeUser(Struct, frozen=True, tag="subscribe"):
    """Subscribe the connections of a user to a channel."""

    user: str
    channel: str
    client: str = ""
    options: SubscribeOptions = SubscribeOptions()
    since: StreamPosition | None = None
    expires_at: float | None = None


class UnsubscribeUser(Struct, frozen=True, tag="unsubscribe"):
    """End the subscription of a user's connections to a channel; an empty channel means all but the user's own."""

    user: str
    channel: str
    client: str = ""


class RefreshUser(Struct, frozen=True, tag="refresh"):
    """Change when the connections of a user expire; `expires_at` None means never."""

    user: str
    client: str = ""
    expired: bool = False
    expires_at: float | None = None


Control = DisconnectUser | SubscribeUser | UnsubscribeUser | RefreshUser

encode_control = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(Control).decode
