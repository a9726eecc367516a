"""The one-way form of the native protocol: bare pushes, one JSON object each, and a connect that is asked for once.

Source: docs/event-streams.md, "For programs"; Centrifugo's unidirectional transports.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from messageflow.core.channels import BROADCAST
from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.protocol import (
    Command,
    ConnectRequest,
    ConnectResult,
    FaultyCommand,
    Push,
    Result,
    SubscribeRequest,
)
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage
from messageflow.dialects.native import encode_publication, encode_push
from messageflow.dialects.stream_dialect import StreamDialect

_ERROR: Final = b'{"error":'
_PUSH: Final = b'{"push":'

_decode_connect = msgspec.json.Decoder(ConnectRequest).decode
_encode = msgspec.json.Encoder().encode


def read_connect(message: bytes) -> ConnectRequest:
    """Return what a program asks for: everyone's channel too, which in the native dialect one with a name asks for.

    Raises:
        msgspec.MsgspecError: it is no connect request.
    """
    request = _decode_connect(message or b"{}")
    if not request.name or BROADCAST in request.subs:
        return request
    return replace(request, subs={**request.subs, BROADCAST: SubscribeRequest()})


class _Unidirectional:
    """The two halves of the dialect, as `dialects.base` has them."""

    ping = b"{}"
    pong = b""
    name = "unidirectional"
    is_text = True
    join = staticmethod(b"\n".join)

    @property
    def encoder(self) -> _Unidirectional:
        return self

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        try:
            return [Command(id=1, connect=read_connect(message))]
        except msgspec.MsgspecError as error:
            raise MalformedMessage(f"no connect request: {error}") from None

    def publication(self, channel: str, publication: Publication) -> bytes:
        return _bare(encode_publication(channel, publication))

    def push(self, channel: str, push: Push) -> bytes:
        return _bare(encode_push(channel, push))

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        assert isinstance(result, ConnectResult)
        unasked = msgspec.structs.replace(result, pong=False)  # whatever the transport does about pings
        return b'{"connect":%b}' % _encode(unasked)

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        return b"%b%b}" % (_ERROR, _encode(dict(zip(ErrorCode._fields, error, strict=True))))

    def read_error(self, message: bytes) -> ErrorCode | None:
        if not message.startswith(_ERROR):
            return None
        fields = msgspec.json.decode(message)["error"]
        return ErrorCode(fields["code"], fields["message"], fields["temporary"])

    def disconnect(self, disconnect: Disconnect) -> bytes:
        return b'{"disconnect":{"code":%d,"reason":%b}}' % (disconnect.code, _encode(disconnect.reason))


def _bare(push: bytes) -> bytes:
    return push[len(_PUSH) : -1]


UNIDIRECTIONAL: Final[StreamDialect] = _Unidirectional()
