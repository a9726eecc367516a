"""The classic dialect: what the browsers of message_flow, cesium_web and baselayer speak, each with its own keys.

The server asks who is there, the client answers with its bare token, and from then on hears one action a message. An
action is what a push carries; there are no channels, no positions and no commands.

Source: docs/classic.md; cesium-ml/message_flow `websocket_server.py`, cesium-ml/baselayer `services/websocket_server`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from messageflow.core.channels import BROADCAST, PERSONAL_PREFIX
from messageflow.core.codes import ErrorCode
from messageflow.core.protocol import Command, ConnectRequest, FaultyCommand, Push, RefreshRequest, Result
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage


class _Action(msgspec.Struct, frozen=True, gc=False):
    type: Raw
    payload: Raw = Raw(b"{}")


_decode_action = msgspec.json.Decoder(_Action).decode
_encode = msgspec.json.Encoder().encode


def _read_action(data: bytes) -> tuple[bytes, bytes]:
    """Return type and payload as they were written; what is no action is the payload of one without a type."""
    try:
        action = _decode_action(data)
    except msgspec.MsgspecError:
        return b'""', data
    kind = bytes(action.type)
    return (kind, bytes(action.payload)) if kind.startswith(b'"') else (b'""', data)


class ClassicDialect:
    """One generation: the two halves of the dialect, as `dialects.base` has them.

    What it has no word for, such as joins and channels other than the user's own and everybody's, is an empty message,
    of which its transport makes no frame.

    Args:
        user_key: of whom a message is for; in a token the claim of who it is has the same name.
        type_key: of what a message is; the control messages have it too.
        payload_key: of what it carries.

    Attributes:
        request: asks a client for its token.
        failed: says that it was not believed.
    """

    ping = b"<3"
    pong = b"<3"
    name = "classic"
    is_text = True

    def __init__(self, user_key: str, type_key: str, payload_key: str) -> None:
        self.user_key = user_key
        self._keys = (user_key.encode(), type_key.encode(), payload_key.encode())
        self.request = self._control(b"AUTH REQUEST")
        self.failed = self._control(b"AUTH FAILED")
        self._accepted = self._control(b"AUTH OK")

    @property
    def encoder(self) -> ClassicDialect:
        return self

    def _control(self, word: bytes) -> bytes:
        return b'{"%b": "%b"}' % (self._keys[1], word)

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        return [Command(id=1, connect=ConnectRequest(token=_read_token(message)))]

    def decode_renewal(self, message: bytes) -> list[Command | FaultyCommand]:
        """Return what a message asks for of a client that is in: to stay, with another token.

        Raises:
            MalformedMessage: it is no text.
        """
        return [Command(id=2, refresh=RefreshRequest(_read_token(message)))]

    def publication(self, channel: str, publication: Publication) -> bytes:
        if channel != BROADCAST and not channel.startswith(PERSONAL_PREFIX):
            return b""
        user = _encode(channel.removeprefix(PERSONAL_PREFIX))
        kind, payload = _read_action(publication.data)
        user_key, type_key, payload_key = self._keys
        return b'{"%b":%b,"%b":%b,"%b":%b}' % (user_key, user, type_key, kind, payload_key, payload)

    def push(self, channel: str, push: Push) -> bytes:
        return b""

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        return self._accepted

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        return self.failed

    def join(self, messages: Sequence[bytes]) -> bytes:
        """A client reads one object a message: only a transport in pieces carries this, and that joins nothing."""
        return b"\n".join(messages)


def _read_token(message: bytes) -> str:
    try:
        return message.decode().strip()
    except UnicodeDecodeError:
        raise MalformedMessage("a token that is no text") from None


GENERATIONS: Final = {
    "message_flow": ClassicDialect("username", "id", "data"),
    "cesium": ClassicDialect("username", "action", "payload"),
    "baselayer": ClassicDialect("user_id", "actionType", "payload"),
}
