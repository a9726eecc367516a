"""How an answer of the gateway reads: the result of a call, or the error it means.

Pure. Messages say what to do next; none repeats a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from messageflow.api.answers import CallError, ChannelsAnswer, InfoAnswer, Node, OnlineAnswer, PresenceStats
from messageflow.api.calls import Nothing
from messageflow.client_io.outcome import Response
from messageflow.core.codes import NOT_AVAILABLE
from messageflow.errors import NotStored, PayloadTooLarge, PublishError, Refused, Unauthorized
from messageflow.publisher.call import Call
from messageflow.publisher.error_texts import Peer
from messageflow.publisher.results import ClientInfo, History, PagePosition, Receipt

T = TypeVar("T")

ADVICE = "push an identifier and let the browser fetch the rest"


class _Reply(msgspec.Struct, Generic[T], frozen=True):
    result: T | None = None
    error: CallError | None = None


class _Presence(msgspec.Struct, frozen=True):
    presence: dict[str, ClientInfo] = {}


class _Asked(msgspec.Struct, frozen=True):
    history: History | None = None
    error: CallError | None = None


class _Several(msgspec.Struct, frozen=True):
    replies: tuple[_Asked, ...] | None = None
    error: CallError | None = None


def _make_reader(kind: type[T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(_Reply[kind])  # type: ignore[valid-type]

    def read_result(body: bytes) -> T:
        reply = decoder.decode(body)
        if reply.error is not None:
            raise Refused(reply.error.code, reply.error.message)
        if reply.result is None:
            raise msgspec.ValidationError("neither a result nor an error")
        return reply.result

    return read_result


read_receipt = _make_reader(Receipt)
read_history = _make_reader(History)
read_stats = _make_reader(PresenceStats)
_presence = _make_reader(_Presence)
_channels = _make_reader(ChannelsAnswer)
_info = _make_reader(InfoAnswer)
_users = _make_reader(OnlineAnswer)
_nothing = _make_reader(Nothing)
_several = msgspec.json.Decoder(_Several)
_errors = msgspec.json.Decoder(_Reply[Nothing])


def read_nothing(body: bytes) -> None:
    """Accept any result."""
    _nothing(body)


def read_online(body: bytes) -> bool:
    """Tell whether anybody is there."""
    return read_stats(body).num_clients > 0


def read_users(body: bytes) -> list[str]:
    """Return the users who are there."""
    return _users(body).users


def read_presence(body: bytes) -> dict[str, ClientInfo]:
    """Return who is there, by session."""
    return _presence(body).presence


def read_channels(body: bytes) -> dict[str, int]:
    """Return how many clients each channel has."""
    return {name: each.num_clients for name, each in _channels(body).channels.items()}


def read_positions(body: bytes, channels: Sequence[str]) -> dict[str, PagePosition]:
    """Return where the streams of these channels stand; what keeps no history stands nowhere, and is left out."""
    said = _several.decode(body)
    if said.error is not None:
        raise Refused(said.error.code, said.error.message)
    if said.replies is None or len(said.replies) != len(channels):
        raise msgspec.ValidationError(f"not {len(channels)} replies")
    found: dict[str, PagePosition] = {}
    for channel, reply in zip(channels, said.replies, strict=True):
        if reply.error is not None and reply.error.code != NOT_AVAILABLE.code:  # the channel keeps no history
            raise Refused(reply.error.code, reply.error.message)
        if reply.history is not None:
            found[channel] = PagePosition(epoch=reply.history.epoch, offset=reply.history.offset, tag=reply.history.tag)
    return found


def read_info(body: bytes) -> tuple[Node, ...]:
    """Return the gateway's workers."""
    return _info(body).nodes


def read(call: Call[T], answer: Response, peer: Peer) -> T:
    """Return the result an answer carries.

    Raises:
        Unauthorized, PayloadTooLarge, NotStored, Refused: as the gateway said.
        PublishError: what answered is not a messageflow gateway.
    """
    if answer.status != 200:
        raise _read_problem(call, answer, peer)
    try:
        return call.read(answer.body)
    except msgspec.MsgspecError as error:
        raise PublishError(_describe_stranger(answer, peer.url)) from error


def _read_problem(call: Call[Any], answer: Response, peer: Peer) -> PublishError:
    said = _read_error(answer.body)
    if answer.status == 401:
        return Unauthorized(peer.unauthorized)
    if answer.status == 413:
        told = said.message if said else f"{len(call.body)} bytes are over the size limit of what answers at {peer.url}"
        return PayloadTooLarge(told if ADVICE in told else f"{told}: {ADVICE}")
    if answer.status == 507 and said is not None:
        return NotStored(f"{peer.name} did not store it: {said.message}")
    if said is not None:
        return Refused(said.code, said.message)
    if answer.status == 404:
        return PublishError(
            f"there is no messageflow API at {peer.url}: check its URL (argument url, or MESSAGEFLOW_URL), and "
            "base_path (argument, or MESSAGEFLOW_BASE_PATH) where the gateway's setting of this name is not the default"
        )
    return PublishError(_describe_stranger(answer, peer.url))


def _read_error(body: bytes) -> CallError | None:
    try:
        return _errors.decode(body).error
    except msgspec.MsgspecError:
        return None


def _describe_stranger(answer: Response, url: str) -> str:
    start = answer.body[:80].decode("utf-8", "replace")
    return (
        f"what answers at {url} is not a messageflow gateway (status {answer.status}, {start!r}): check "
        "MESSAGEFLOW_URL and what stands between here and the gateway"
    )
