"""How an answer of the gateway reads: the result of a call, or the error it means.

A result reads as the table of methods says (`api.methods`), so that nothing here names a method but those that read
several answers at once.

Pure. Messages say what to do next; none repeats a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from messageflow.api.answers import CallError
from messageflow.api.calls import Nothing
from messageflow.api.methods import METHODS
from messageflow.client_io.outcome import Response
from messageflow.core.codes import NOT_AVAILABLE
from messageflow.errors import NotStored, PayloadTooLarge, PublishError, Refused, Unauthorized
from messageflow.publisher.call import Call
from messageflow.publisher.error_texts import Peer
from messageflow.publisher.results import READ_AS, History, PagePosition, Receipt

T = TypeVar("T")

ADVICE = "push an identifier and let the browser fetch the rest"


class _Reply(msgspec.Struct, Generic[T], frozen=True):
    result: T | None = None
    error: CallError | None = None


class _Asked(msgspec.Struct, frozen=True):
    history: History | None = None
    error: CallError | None = None


class _Several(msgspec.Struct, frozen=True):
    replies: tuple[_Asked, ...] | None = None
    error: CallError | None = None


@cache
def find_reader(method: str) -> Callable[[bytes], Any]:
    """Return what makes the result of a method out of a body: what it is answered, as `results` reads that.

    What is returned raises Refused where the body has an error.
    """
    answers = METHODS[method].answers
    decoder = msgspec.json.Decoder(_Reply[READ_AS.get(answers, answers)])  # type: ignore[misc]

    def read_result(body: bytes) -> Any:
        reply = decoder.decode(body)
        if reply.error is not None:
            raise Refused(reply.error.code, reply.error.message)
        if reply.result is None:
            raise msgspec.ValidationError("neither a result nor an error")
        return reply.result

    return read_result


read_receipt: Callable[[bytes], Receipt] = find_reader("publish")
_several = msgspec.json.Decoder(_Several)
_errors = msgspec.json.Decoder(_Reply[Nothing])


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
            found[channel] = make_position(reply.history)
    return found


def make_position(page: History) -> PagePosition:
    """Return where a stream stands, as a page takes it."""
    return PagePosition(epoch=page.epoch, offset=page.offset, tag=page.tag)


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
