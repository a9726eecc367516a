"""The calls of the HTTP API, as values: what each takes, and the shape of what it answers.

Source: docs/http-api.md; `push` and `broadcast_push` are ours.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from messageflow.core.protocol import ClientInfo, PublicationView, StreamPosition

EMPTY = Raw(b"")


class Publish(Struct, frozen=True, gc=False):
    channel: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: Raw = EMPTY
    idempotency_key: str = ""


class Broadcast(Struct, frozen=True, gc=False):
    channels: list[str] = []
    data: Raw = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: Raw = EMPTY
    idempotency_key: str = ""


class Push(Struct, frozen=True, gc=False):
    user: str | int = ""
    type: str = ""
    payload: Raw = EMPTY
    idempotency_key: str = ""


class BroadcastPush(Struct, frozen=True, gc=False):
    type: str = ""
    payload: Raw = EMPTY
    idempotency_key: str = ""


class DisconnectCode(Struct, frozen=True):
    code: int = 3503
    reason: str = "force disconnect"


class Disconnect(Struct, frozen=True):
    user: str = ""
    client: str = ""
    whitelist: tuple[str, ...] = ()
    disconnect: DisconnectCode = DisconnectCode()


class Revoke(Struct, frozen=True):
    """Without `before` everything made until now is revoked."""

    user: str = ""
    before: float | None = None


class Override(Struct, frozen=True):
    value: bool = False


class Overrides(Struct, frozen=True):
    presence: Override | None = None
    join_leave: Override | None = None
    force_recovery: Override | None = None
    force_positioning: Override | None = None
    force_push_join_leave: Override | None = None


class Subscribe(Struct, frozen=True):
    user: str = ""
    channel: str = ""
    client: str = ""
    info: Raw = EMPTY
    data: Raw = EMPTY
    recover_since: StreamPosition | None = None
    expire_at: float | None = None
    override: Overrides = Overrides()


class Unsubscribe(Struct, frozen=True):
    user: str = ""
    channel: str = ""
    client: str = ""


class Refresh(Struct, frozen=True):
    user: str = ""
    client: str = ""
    expired: bool = False
    expire_at: float | None = None


class OfChannel(Struct, frozen=True):
    """A call about one channel: presence, presence_stats, history_remove."""

    channel: str = ""


class History(Struct, frozen=True):
    channel: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class Channels(Struct, frozen=True):
    pattern: str = ""


class Nothing(Struct, frozen=True):
    pass


class Batch(Struct, frozen=True):
    """Calls to carry out in order; each an object with the method as its only key."""

    commands: list[dict[str, Raw]] = []
    parallel: bool = False


# Answers


class Receipt(Struct, frozen=True, omit_defaults=True):
    """What a publish answers. `offset`, `epoch` and `tag` only with history."""

    channel: str
    ack: str | UnsetType = UNSET
    offset: int = 0
    epoch: str = ""
    tag: str = ""


class Presence(Struct, frozen=True):
    presence: dict[str, ClientInfo]


class PresenceStats(Struct, frozen=True):
    num_clients: int
    num_users: int


class Page(Struct, frozen=True):
    publications: list[PublicationView]
    epoch: str
    offset: int
    tag: str


class ChannelFigures(Struct, frozen=True):
    num_clients: int


class ChannelList(Struct, frozen=True):
    channels: dict[str, ChannelFigures]


class NodeFigures(Struct, frozen=True):
    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_channels: int
    num_subs: int
    uptime: int


class Info(Struct, frozen=True):
    nodes: list[NodeFigures]


class Failure(Struct, frozen=True):
    code: int
    message: str
