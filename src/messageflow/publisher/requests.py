"""What each call of a flow asks of the gateway.

The one core under `Flow` and `AsyncFlow`: a function a call, from the arguments that `Flow` documents to a `Call`,
which knows how its own answer reads. Shapes are those of the HTTP API (reference/native-protocol.md §3, with `push`
and `broadcast_push` of ours).

Pure: no sockets, no clock; the only chance is the idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from messageflow.errors import PayloadTooLarge
from messageflow.publisher import answers
from messageflow.publisher.answers import ADVICE
from messageflow.publisher.encoding import encode
from messageflow.publisher.results import ClientInfo, History, Node, Position, PresenceStats, Receipt

EVERYONE = "*"
BODY_LIMIT = 16 * 1024 * 1024  # bytes; far over any gateway's limit, refused here before it burdens the network

T = TypeVar("T")


class Call(NamedTuple, Generic[T]):
    """One call of the API.

    Args:
        method: its name in the API.
        body: its parameters as JSON.
        read: makes the result out of the body of an answer with status 200.
        stores: whether it changes what is stored.
    """

    method: str
    body: bytes
    read: Callable[[bytes], T]
    stores: bool = False


class Push(msgspec.Struct, frozen=True):
    user: str
    type: str
    payload: Raw
    idempotency_key: str


class Broadcast(msgspec.Struct, frozen=True):
    type: str
    payload: Raw
    idempotency_key: str


class Publish(msgspec.Struct, frozen=True, omit_defaults=True):
    channel: str
    data: Raw
    idempotency_key: str
    tags: Mapping[str, str] | None = None
    skip_history: bool = False


def push(user: str | int, type: str, payload: Any = None, *, idempotency_key: str | None = None) -> Call[Receipt]:
    if user == EVERYONE:
        return broadcast(type, payload, idempotency_key=idempotency_key)
    command = Push(user_name(user), _type_name(type), Raw(encode(payload)), idempotency_key or fresh_key())
    return Call("push", _to_json(command), answers.read_receipt, stores=True)


def broadcast(type: str, payload: Any = None, *, idempotency_key: str | None = None) -> Call[Receipt]:
    command = Broadcast(_type_name(type), Raw(encode(payload)), idempotency_key or fresh_key())
    return Call("broadcast_push", _to_json(command), answers.read_receipt, stores=True)


def publish(
    channel: str,
    data: Any,
    *,
    tags: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    skip_history: bool = False,
) -> Call[Receipt]:
    command = Publish(
        channel_name(channel), Raw(encode(data, "data")), idempotency_key or fresh_key(), tags or None, skip_history
    )
    return Call("publish", _to_json(command), answers.read_receipt, stores=True)


def subscribe(user: str | int, channel: str) -> Call[None]:
    return _call("subscribe", {"user": user_name(user), "channel": channel_name(channel)}, answers.read_nothing)


def unsubscribe(user: str | int, channel: str) -> Call[None]:
    return _call("unsubscribe", {"user": user_name(user), "channel": channel_name(channel)}, answers.read_nothing)


def disconnect(user: str | int, *, code: int | None = None, reason: str = "") -> Call[None]:
    body: dict[str, Any] = {"user": user_name(user)}
    if code is not None:
        body["disconnect"] = {"code": code, "reason": reason}
    return _call("disconnect", body, answers.read_nothing)


def revoke(user: str | int, before: float) -> Call[None]:
    return _call("revoke", {"user": user_name(user), "before": before}, answers.read_nothing)


def presence(channel: str) -> Call[dict[str, ClientInfo]]:
    return _call("presence", {"channel": channel_name(channel)}, answers.read_presence)


def presence_stats(channel: str) -> Call[PresenceStats]:
    return _call("presence_stats", {"channel": channel_name(channel)}, answers.read_stats)


def online(user: str | int) -> Call[bool]:
    return _call("presence_stats", {"channel": f"#{user_name(user)}"}, answers.read_online)


def history(channel: str, *, limit: int = 100, since: Position | None = None, reverse: bool = False) -> Call[History]:
    body: dict[str, Any] = {"channel": channel_name(channel), "limit": limit, "reverse": reverse}
    if since is not None:
        body["since"] = {"offset": since.offset, "epoch": since.epoch}
    return _call("history", body, answers.read_history)


def history_remove(channel: str) -> Call[None]:
    return _call("history_remove", {"channel": channel_name(channel)}, answers.read_nothing)


def channels(pattern: str = "") -> Call[dict[str, int]]:
    return _call("channels", {"pattern": pattern}, answers.read_channels)


def info() -> Call[tuple[Node, ...]]:
    return _call("info", {}, answers.read_info)


def _call(method: str, body: Mapping[str, Any], read: Callable[[bytes], T]) -> Call[T]:
    return Call(method, _to_json(body), read)


def fresh_key() -> str:
    """Return an idempotency key: 128 bits of the system's randomness, so that no fork can repeat one."""
    return token_hex(16)


def user_name(user: str | int) -> str:
    """Return how a user is named to the gateway.

    Raises:
        TypeError: it is neither text nor a whole number.
        ValueError: it is empty or `*`.
    """
    if isinstance(user, int) and not isinstance(user, bool):
        return str(int(user))
    if not isinstance(user, str):
        raise TypeError(f"user must be a string or an int, not {type(user).__name__}")
    if not user:
        raise ValueError("user is empty: push to somebody, or use broadcast() for everyone online")
    if user == EVERYONE:
        raise ValueError("'*' is everyone, not a user")
    return user


def channel_name(channel: str) -> str:
    """Return `channel` if it is a non-empty string; raise TypeError or ValueError if not."""
    if not isinstance(channel, str):
        raise TypeError(f"channel must be a string, not {type(channel).__name__}")
    if not channel:
        raise ValueError("channel is empty")
    return channel


def _type_name(type_: str) -> str:
    if not isinstance(type_, str):
        raise TypeError(f"type must be a string such as 'report/ready', not {type(type_).__name__}")
    if not type_:
        raise ValueError("type is empty: name what happened, such as 'report/ready'")
    return type_


def _to_json(command: Any) -> bytes:
    try:
        body = _encoder.encode(command)
    except (TypeError, UnicodeError) as error:
        raise TypeError(f"an argument of the call is not text that JSON can carry: {error}") from None
    if len(body) > BODY_LIMIT:
        raise PayloadTooLarge(f"{len(body)} bytes are too much for one call: {ADVICE}")
    return body


_encoder = msgspec.json.Encoder()
