"""What each call of a flow asks of the gateway.

The one core under `Flow` and `AsyncFlow`: a function a call, from the arguments that `Flow` documents to a `Call`,
which knows how its own answer reads. The shapes are those of the server API: `api.calls`, and what `api.methods` says
of the answers.

Pure: no sockets, no clock; the only chance is the idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from os import urandom
from typing import Any, TypeVar

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from messageflow.api import calls
from messageflow.core.html_push import INNER, MARK
from messageflow.errors import PayloadTooLarge
from messageflow.publisher import responses
from messageflow.publisher.arguments import (
    EVERYONE,
    find_whole_number,
    read_channel,
    read_key,
    read_sender,
    read_tags,
    read_text,
    read_token_name,
    read_type,
    read_user,
)
from messageflow.publisher.arguments import Sender as Sender
from messageflow.publisher.arguments import User as User
from messageflow.publisher.call import Call
from messageflow.publisher.encoding import encode
from messageflow.publisher.html_message import HTML_TAGS, Html
from messageflow.publisher.responses import ADVICE
from messageflow.publisher.results import (
    ClientInfo,
    History,
    Node,
    PagePosition,
    Position,
    PresenceStats,
    Receipt,
)
from messageflow.typed.kinds import find_kind
from messageflow.typed.message import TypedMessage

_PLAIN = frozenset({dict, list, str, int, float, bool})  # which are no messages, and most of what is published
BODY_LIMIT = 16 * 1024 * 1024  # bytes; far over any gateway's limit, refused here before it burdens the network

HIGHEST_VERSION = 2**63 - 1

T = TypeVar("T")
V = TypeVar("V", calls.PublishCall, calls.PushCall, calls.BroadcastPushCall)


def push(
    user: User,
    type: str | TypedMessage,
    payload: Any = None,
    *,
    idempotency_key: str | None = None,
    exclude: Sender | None = None,
    version: int | None = None,
    version_epoch: str = "",
) -> Call[Receipt]:
    name, key, tags = read_user(user), _choose_key(idempotency_key), calls.EMPTY
    if not isinstance(type, str):
        tags = _find_tags(type)
        type, payload = _read_message(type, payload)
    command = calls.PushCall(name, read_type(type), Raw(encode(payload)), key, read_sender(exclude), tags)
    if version is not None or version_epoch:
        command = _set_version(command, version, version_epoch)
    return Call("push", _to_json(command), responses.read_receipt, stores=True)


def broadcast(
    type: str | TypedMessage,
    payload: Any = None,
    *,
    idempotency_key: str | None = None,
    exclude: Sender | None = None,
    version: int | None = None,
    version_epoch: str = "",
) -> Call[Receipt]:
    key, tags = _choose_key(idempotency_key), calls.EMPTY
    if not isinstance(type, str):
        tags = _find_tags(type)
        type, payload = _read_message(type, payload)
    command = calls.BroadcastPushCall(read_type(type), Raw(encode(payload)), key, read_sender(exclude), tags)
    if version is not None or version_epoch:
        command = _set_version(command, version, version_epoch)
    return Call("broadcast_push", _to_json(command), responses.read_receipt, stores=True)


def html(
    user: User,
    html: Any,
    *,
    target: str,
    swap: str = INNER,
    idempotency_key: str | None = None,
    exclude: Sender | None = None,
) -> Call[Receipt]:
    return push(user, Html(html, target, swap), idempotency_key=idempotency_key, exclude=exclude)


def publish(
    channel: str,
    data: Any,
    *,
    tags: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    skip_history: bool = False,
    exclude: Sender | None = None,
    version: int | None = None,
    version_epoch: str = "",
    compress: bool = True,
) -> Call[Receipt]:
    command = calls.PublishCall(
        read_channel(channel),
        _read_data(data),
        skip_history=bool(skip_history),
        tags=_encode_tags(tags, data),
        idempotency_key=_choose_key(idempotency_key),
        exclude=read_sender(exclude),
        compress=bool(compress),
    )
    if version is not None or version_epoch:
        command = _set_version(command, version, version_epoch)
    return Call("publish", _to_json(command), responses.read_receipt, stores=True)


def subscribe(user: User, channel: str) -> Call[None]:
    return _make_call("subscribe", calls.SubscribeCall(read_user(user), read_channel(channel)), _ignore)


def unsubscribe(user: User, channel: str) -> Call[None]:
    return _make_call("unsubscribe", calls.UnsubscribeCall(read_user(user), read_channel(channel)), _ignore)


def disconnect(user: User, *, code: int | None = None, reason: str = "") -> Call[None]:
    name = read_user(user)
    if code is None:
        return _make_call("disconnect", calls.DisconnectCall(name), _ignore)
    told = calls.DisconnectCode(_read_count(code, "code"), read_text(reason, "reason"))
    return _make_call("disconnect", calls.DisconnectCall(name, disconnect=told), _ignore)


def revoke(user: User, before: float, *, token: str = "", channels: str = "") -> Call[None]:
    if token and channels:
        raise ValueError("revoke one token, or what tokens say of channels, not both at once")
    command = calls.RevokeCall(
        read_user(user), _read_date(before), read_token_name(token), read_text(channels, "channels")
    )
    return _make_call("revoke", command, _ignore)


def presence(channel: str) -> Call[dict[str, ClientInfo]]:
    return _make_call("presence", calls.ChannelCall(read_channel(channel)), lambda found: found.presence)


def presence_stats(channel: str) -> Call[PresenceStats]:
    return _make_call("presence_stats", calls.ChannelCall(read_channel(channel)))


def online(user: User) -> Call[bool]:
    command = calls.ChannelCall(f"#{read_user(user)}")
    return _make_call("presence_stats", command, lambda stats: stats.num_clients > 0)


def online_many(users: Sequence[User]) -> Call[set[User]]:
    named: dict[str, list[User]] = {}
    for user in users:
        named.setdefault(read_user(user), []).append(user)
    return _make_call(
        "online",
        calls.OnlineCall(list(named)),
        lambda found: {user for name in found.users for user in named.get(name, ())},
    )


def history(channel: str, *, limit: int = 100, since: Position | None = None, reverse: bool = False) -> Call[History]:
    command = calls.HistoryCall(read_channel(channel), _read_count(limit, "limit"), _read_since(since), bool(reverse))
    return _make_call("history", command)


def position(user: User, channels: Iterable[str] = ()) -> Call[dict[str, PagePosition]]:
    names = [f"#{read_user(user)}", EVERYONE, *map(read_channel, channels)]
    commands = [{"history": Raw(_to_json({"channel": name, "limit": 0}))} for name in names]
    return Call("batch", _to_json(calls.BatchCall(commands)), lambda body: responses.read_positions(body, names))


def channel_position(channel: str) -> Call[PagePosition]:
    return _make_call("history", calls.HistoryCall(read_channel(channel), 0), responses.make_position)


def history_remove(channel: str) -> Call[None]:
    return _make_call("history_remove", calls.ChannelCall(read_channel(channel)), _ignore)


def channels(pattern: str = "") -> Call[dict[str, int]]:
    return _make_call(
        "channels",
        calls.ChannelsCall(read_text(pattern, "pattern")),
        lambda found: {name: each.num_clients for name, each in found.channels.items()},
    )


def info() -> Call[tuple[Node, ...]]:
    return _make_call("info", calls.Nothing(), lambda found: found.nodes)


def _read_message(said: Any, payload: Any) -> tuple[Any, Any]:
    """Return type and payload of a typed message, as they are given of what is none."""
    kind = find_kind(type(said))
    if kind is None:
        return said, payload
    if payload is not None:
        raise TypeError(f"{kind.cls.__name__} has its payload in its fields: push it alone")
    return kind.type, Raw(kind.write(said, encode))


def _read_data(data: Any) -> Raw:
    """Return the data of a publication; of a typed message the action that pages hear of a push, too."""
    kind = None if type(data) in _PLAIN else find_kind(type(data))
    if kind is None:
        return Raw(encode(data, "data"))
    return Raw(_to_json({"type": kind.type, "payload": Raw(kind.write(data, encode))}))


def _make_call(method: str, command: msgspec.Struct, pick: Callable[[Any], T] | None = None) -> Call[T]:
    """Return a call of which the result is what the method is answered, or what is picked out of that."""
    read = responses.find_reader(method)
    return Call(method, _to_json(command), read if pick is None else lambda body: pick(read(body)))


def _ignore(_: calls.Nothing) -> None:
    """Take an answer that says nothing."""


def _choose_key(given: object) -> str:
    """Return the idempotency key that was given, else a fresh one."""
    return make_key() if given is None else read_key(given) or make_key()


def _encode_tags(given: Mapping[str, str] | None, data: Any) -> Raw:
    tags = read_tags(given)
    if tags is None:
        return _find_tags(data)
    return Raw(_to_json({**tags, **MARK} if isinstance(data, Html) else tags))


def _find_tags(said: Any) -> Raw:
    """Return the tags of what is said without any of its own."""
    return HTML_TAGS if isinstance(said, Html) else calls.EMPTY


def _read_since(given: Position | None) -> calls.HistorySince | msgspec.UnsetType:
    if given is None:
        return msgspec.UNSET
    return calls.HistorySince(_read_count(given.offset, "offset"), read_text(given.epoch, "epoch"))


def _read_date(value: float) -> float:
    seconds = float(value)
    if not isfinite(seconds):
        raise ValueError(f"before must be a date in seconds since 1970, not {seconds!r}")
    return seconds


def _read_count(value: object, name: str) -> int:
    number = find_whole_number(value)
    if number is None:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    return number


def _set_version(command: V, version: object, epoch: object) -> V:
    """Return a call that publishes with the version of its document."""
    number = find_whole_number(version)
    if version is None:
        raise ValueError("version_epoch says nothing without a version")
    if number is None:
        raise TypeError(f"version must be an int, not {type(version).__name__}")
    if not 0 < number <= HIGHEST_VERSION:
        raise ValueError(f"version must be from 1 to {HIGHEST_VERSION}, not {number}: 0 stands for none")
    return replace(command, version=number, version_epoch=read_text(epoch, "version_epoch"))


def make_key() -> str:
    """Return an idempotency key: 128 bits of the system's randomness, so that no fork can repeat one."""
    return urandom(16).hex()  # half the price of `secrets.token_hex`, and the same


def _to_json(command: Any) -> bytes:
    try:
        body = _encoder.encode(command)
    except (TypeError, UnicodeError) as error:
        raise TypeError(f"an argument of the call is not text that JSON can carry: {error}") from None
    if len(body) > BODY_LIMIT:
        raise PayloadTooLarge(f"{len(body)} bytes are too much for one call: {ADVICE}")
    return body


_encoder = msgspec.json.Encoder()
