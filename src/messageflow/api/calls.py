"""The calls of the server API: what each takes, once for all who speak it.

The API reads calls by them, the publisher writes calls by them, and the OpenAPI document (`api.openapi`) is made of
them, descriptions included: what is said of a field here is said there.

Pure. Source: docs/http-api.md; `push` and `broadcast_push` are ours, the rest is as Centrifugo has it.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from messageflow.core.codes import FORCE_DISCONNECT
from messageflow.core.overrides import Overridable
from messageflow.core.protocol import Offset, StreamPosition

EMPTY = Raw(b"")


class PublishCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """Publish in a channel.

    Args:
        channel: its name.
        data: any JSON.
        b64data: instead of `data`, JSON in base64.
        skip_history: deliver to who is there, keep nothing.
        tags: an object of strings, sent along.
        idempotency_key: at most 255 bytes; a call that is repeated with it is stored once.
        exclude: the id of a client that does not get it, such as the one that caused it.
        version: of the document in it, from 1: it is dropped where the channel has this or a later one.
        version_epoch: versions of another epoch are not compared, those of an empty one with any.
        delta: subscribers that asked for deltas may be sent what changed since the publication before.
        compress: whether it may be compressed; false for what is secret.
    """

    channel: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: Raw = EMPTY
    idempotency_key: str = ""
    exclude: str = ""
    version: Offset = 0
    version_epoch: str = ""
    delta: bool = False
    compress: bool = True


class BroadcastCall(Struct, frozen=True, gc=False):
    """Publish the same in many channels.

    Args:
        channels: their names, at most 10,000.
        data: any JSON.
        b64data: instead of `data`, JSON in base64.
        skip_history: deliver to who is there, keep nothing.
        tags: an object of strings, sent along.
        idempotency_key: at most 255 bytes; a call that is repeated with it is stored once in each channel.
        exclude: the id of a client that does not get it, such as the one that caused it.
        version: of the document in it, from 1: it is dropped where the channel has this or a later one.
        version_epoch: versions of another epoch are not compared, those of an empty one with any.
        delta: subscribers that asked for deltas may be sent what changed since the publication before.
        compress: whether it may be compressed; false for what is secret.
    """

    channels: list[str] = []
    data: Raw = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: Raw = EMPTY
    idempotency_key: str = ""
    exclude: str = ""
    version: Offset = 0
    version_epoch: str = ""
    delta: bool = False
    compress: bool = True


class PushCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """Push to one user, wherever they are; their browsers get `{"type": …, "payload": …}`.

    Args:
        user: who, as their token's `sub` says.
        type: what happened, such as `report/ready`.
        payload: any JSON.
        idempotency_key: at most 255 bytes; a call that is repeated with it is stored once.
        exclude: the id of a client that does not get it, such as the one that caused it.
        tags: an object of strings, sent along.
        version: of the document in it, from 1: it is dropped where the channel has this or a later one.
        version_epoch: versions of another epoch are not compared, those of an empty one with any.
    """

    user: str | int = ""
    type: str = ""
    payload: Raw = EMPTY
    idempotency_key: str = ""
    exclude: str = ""
    tags: Raw = EMPTY
    version: Offset = 0
    version_epoch: str = ""


class BroadcastPushCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """Push to everyone online.

    Args:
        type: what happened.
        payload: any JSON.
        idempotency_key: at most 255 bytes; a call that is repeated with it is stored once.
        exclude: the id of a client that does not get it, such as the one that caused it.
        tags: an object of strings, sent along.
        version: of the document in it, from 1: it is dropped where the channel has this or a later one.
        version_epoch: versions of another epoch are not compared, those of an empty one with any.
    """

    type: str = ""
    payload: Raw = EMPTY
    idempotency_key: str = ""
    exclude: str = ""
    tags: Raw = EMPTY
    version: Offset = 0
    version_epoch: str = ""


class DisconnectCode(Struct, frozen=True):
    """What clients are told as their connection ends.

    Args:
        code: 3000 to 4999; its range says whether they come back.
        reason: at most 100 characters of it are sent.
    """

    code: int = FORCE_DISCONNECT.code
    reason: str = FORCE_DISCONNECT.reason


class DisconnectCall(Struct, frozen=True, omit_defaults=True):
    """Close a user's connections.

    Args:
        user: who.
        client: this session of theirs alone.
        whitelist: sessions that stay.
        disconnect: what they are told; not to come back unless it says otherwise.
    """

    user: str = ""
    client: str = ""
    whitelist: tuple[str, ...] = ()
    disconnect: DisconnectCode = DisconnectCode()


class OnlineCall(Struct, frozen=True):
    """Tell which of these users have a connection now.

    Args:
        users: who, at most 10,000.
    """

    users: list[str] = []


class RevokeCall(Struct, frozen=True, omit_defaults=True):
    """Let no token of a user be good any more that was made until now, and close the connections made with one.

    Args:
        user: who, as the token's `sub` says.
        before: seconds since 1970: what was made earlier is revoked; without it, everything made until now.
        token: the `jti` of one token: it alone is revoked.
        channels: a pattern, such as `org-7:*`: what the tokens say of these channels is revoked, and nothing else.
    """

    user: str = ""
    before: float | None = None
    token: str = ""
    channels: str = ""


class Override(Struct, frozen=True):
    """An option of a subscription, set for it alone.

    Args:
        value: what it is set to.
    """

    value: bool = False


class Overrides(Overridable[Override], frozen=True):
    """Options of a subscription that differ from those of its namespace."""


class SubscribeCall(Struct, frozen=True, omit_defaults=True):
    """Subscribe a user's present connections to a channel.

    Args:
        user: who.
        channel: its name.
        client: this session of theirs alone.
        info: any JSON: what others see of them in presence there.
        data: any JSON: sent along with the subscription.
        recover_since: begin after this position.
        expire_at: when the subscription ends, in seconds since 1970.
        override: options of this subscription.
    """

    user: str = ""
    channel: str = ""
    client: str = ""
    info: Raw = EMPTY
    data: Raw = EMPTY
    recover_since: StreamPosition | None = None
    expire_at: float | None = None
    override: Overrides = Overrides()


class UnsubscribeCall(Struct, frozen=True, omit_defaults=True):
    """End a user's subscriptions to a channel.

    Args:
        user: who.
        channel: its name.
        client: this session of theirs alone.
    """

    user: str = ""
    channel: str = ""
    client: str = ""


class RefreshCall(Struct, frozen=True):
    """Give a user's connections another end.

    Args:
        user: who.
        client: this session of theirs alone.
        expired: end them now, as an expired token does.
        expire_at: when they end, in seconds since 1970.
    """

    user: str = ""
    client: str = ""
    expired: bool = False
    expire_at: float | None = None


class ChannelCall(Struct, frozen=True):
    """Ask about one channel.

    Args:
        channel: its name; `#alice` is the personal channel of alice, `*` that of broadcasts.
    """

    channel: str = ""


class HistorySince(Struct, frozen=True):
    """A point in a stream.

    Args:
        offset: just after the publication with this one.
        epoch: the life of the stream that it belongs to.
    """

    offset: Offset = 0
    epoch: str = ""


class HistoryCall(Struct, frozen=True):
    """Read what a channel keeps.

    Args:
        channel: its name; `#alice` is the personal channel of alice, `*` that of broadcasts.
        limit: how many publications at most; 0 asks for the position alone, -1 for all that one answer holds.
        since: begin after (with `reverse`: before) this point.
        reverse: newest first.
    """

    channel: str = ""
    limit: int = 0
    since: HistorySince | UnsetType | None = UNSET
    reverse: bool = False


class ChannelsCall(Struct, frozen=True):
    """List the channels that have subscribers.

    Args:
        pattern: a glob over their names; all without it.
    """

    pattern: str = ""


class Nothing(Struct, frozen=True):
    """An object without fields."""


class BatchCall(Struct, frozen=True, omit_defaults=True):
    """Carry out calls in order.

    Args:
        commands: each an object with the method as its only key, and what that takes.
        parallel: is read and means nothing: they go in order.
    """

    commands: list[dict[str, Raw]] = []
    parallel: bool = False
