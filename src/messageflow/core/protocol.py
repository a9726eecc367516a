"""Commands, replies and pushes as values: what a client asks and what the server says, whatever the wire language.

Field names are those of the Centrifuge protocol, so that the native dialect is a plain encoding of these structs.
JSON from clients and publishers travels as `msgspec.Raw`: checked to be JSON, never decoded.

Source: docs/protocol.md, "Commands" and "Pushes".
"""

from __future__ import annotations

from itertools import compress
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import astuple

from messageflow.core.client_info import ClientInfo
from messageflow.core.stream import Publication

Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
CommandId = Annotated[int, Meta(ge=0, le=2**32 - 1)]

EMPTY = Raw(b"")


class _Request(Struct, frozen=True, gc=False):
    pass


class SubscribeRequest(_Request, frozen=True):
    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0
    tag: str = ""
    data: Raw = EMPTY
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    flag: int = 0
    type: int = 0


class ConnectRequest(_Request, frozen=True):
    token: str = ""
    data: Raw = EMPTY
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    former: list[str] = []  # ours: the ids of the connections that this one goes on from, the newest last


class UnsubscribeRequest(_Request, frozen=True):
    channel: str = ""


class PublishRequest(_Request, frozen=True):
    """A client's publication. `idempotency_key` is ours: repeated with it after a lost reply, one copy is stored."""

    channel: str = ""
    data: Raw = EMPTY
    idempotency_key: str = ""


class PresenceRequest(_Request, frozen=True):
    channel: str = ""


class StreamPosition(Struct, frozen=True):
    """A position on the wire.

    Args:
        offset: of the newest publication that is known.
        epoch: the life of the stream that it belongs to.
        tag: of that publication; ours, and clients that do not know it leave it out.
    """

    offset: Offset = 0
    epoch: str = ""
    tag: str = ""


class HistoryRequest(_Request, frozen=True):
    channel: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class RPCRequest(_Request, frozen=True):
    data: Raw = EMPTY
    method: str = ""


class SendRequest(_Request, frozen=True):
    """`key` and `age` are ours: the key is handled once, and was first sent so many milliseconds ago, None for now."""

    data: Raw = EMPTY
    key: str = ""
    age: Annotated[int, Meta(ge=0)] | None = None


class RefreshRequest(_Request, frozen=True):
    token: str = ""


class SubRefreshRequest(_Request, frozen=True):
    channel: str = ""
    token: str = ""


class PingRequest(_Request, frozen=True):
    pass


Request = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | HistoryRequest
    | RPCRequest
    | SendRequest
    | RefreshRequest
    | SubRefreshRequest
    | PingRequest
)


class Command(Struct, frozen=True, gc=False):
    """One request with its id. At most one of the methods is set; a command without any is a pong."""

    id: CommandId = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RPCRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def methods(self) -> list[str]:
        """The names of the methods that are set; a well-formed command has exactly one."""
        return list(compress(METHODS, astuple(self)[1:]))  # structs are true


METHODS = Command.__struct_fields__[1:]


class FaultyCommand(Struct, frozen=True):
    """A command whose id and method are known and whose content cannot be taken; `reason` says why."""

    id: int
    method: str
    reason: str

    @property
    def methods(self) -> list[str]:
        """The names of the methods that are set, as of a `Command`."""
        return [self.method]


class PublicationView(Struct, frozen=True, omit_defaults=True):
    """A publication as a reply or a push shows it.

    Args:
        data: what was published.
        info: the client that published it; not there where a backend did.
        offset: its number in the stream, from 1; not there where no history is kept.
        tag: a short hash chained over the stream up to here.
        tags: what was sent along with it.
        delta: whether `data` is what changed since the one before it.
    """

    data: Raw
    info: Raw | UnsetType = UNSET
    offset: int = 0
    tag: str = ""
    tags: Raw | UnsetType = UNSET
    delta: bool = False


class SubscribeResult(Struct, frozen=True, omit_defaults=True):
    """`delta`: the data of these and all later publications is written as `PatchEncoder.patch` writes it."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[PublicationView] = []
    recovered: bool = False
    offset: int = 0
    tag: str = ""
    positioned: bool = False
    data: Raw | UnsetType = UNSET
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Struct, frozen=True, omit_defaults=True):
    client: str
    version: str
    expires: bool = False
    ttl: int = 0
    data: Raw | UnsetType = UNSET
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class PresenceResult(Struct, frozen=True):
    presence: dict[str, ClientInfo]


class PresenceStatsResult(Struct, frozen=True):
    num_clients: int
    num_users: int


class HistoryResult(Struct, frozen=True):
    publications: list[PublicationView]
    epoch: str
    offset: int
    tag: str | UnsetType = UNSET


class RefreshResult(Struct, frozen=True, omit_defaults=True):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Struct, frozen=True, omit_defaults=True):
    expires: bool = False
    ttl: int = 0


class RPCResult(Struct, frozen=True):
    data: Raw


class EmptyResult(Struct, frozen=True):
    pass


Result = (
    ConnectResult
    | SubscribeResult
    | PresenceResult
    | PresenceStatsResult
    | HistoryResult
    | RefreshResult
    | SubRefreshResult
    | RPCResult
    | EmptyResult
)


class Joined(Struct, frozen=True):
    """Push `join`: a client came to the channel."""

    info: ClientInfo


class Left(Struct, frozen=True):
    """Push `leave`: a client is gone from the channel."""

    info: ClientInfo


class Unsubscribed(Struct, frozen=True):
    """Push `unsubscribe`: the server ended the subscription."""

    code: int
    reason: str


class Subscribed(Struct, frozen=True, omit_defaults=True):
    """Push `subscribe`: the server made a subscription while the connection was already up."""

    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    tag: str = ""
    positioned: bool = False
    data: Raw | UnsetType = UNSET


class Refreshed(Struct, frozen=True, omit_defaults=True):
    """Push `refresh`: the server changed when the connection expires."""

    expires: bool = False
    ttl: int = 0


class Moved(Struct, frozen=True, omit_defaults=True):
    """Push `moved`, ours: the last `count` publications up to here are not for this client."""

    offset: int
    tag: str = ""
    count: int = 1


Push = Joined | Left | Unsubscribed | Subscribed | Refreshed | Moved


def raw(data: bytes) -> Raw | UnsetType:
    """Return JSON bytes as an optional field: empty means absent."""
    return Raw(data) if data else UNSET


def view(publication: Publication) -> PublicationView:
    """Return a publication as a reply shows it."""
    return PublicationView(
        Raw(publication.data), raw(publication.info), publication.offset, publication.tag, raw(publication.tags)
    )
