"""The one-way form of the native protocol, byte for byte as docs/event-streams.md has it."""

from __future__ import annotations

import pytest

from messageflow.core.codes import SHUTDOWN, TOKEN_EXPIRED
from messageflow.core.protocol import Command, ConnectResult, Unsubscribed
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage
from messageflow.dialects.unidirectional import UNIDIRECTIONAL


def test_pushes_are_bare() -> None:
    encoder = UNIDIRECTIONAL.encoder
    assert encoder.publication("ch", Publication(1, "t", 0.0, b"2")) == (
        b'{"channel":"ch","pub":{"data":2,"offset":1,"tag":"t"}}'
    )
    assert encoder.push("ch", Unsubscribed(2000, "r")) == b'{"channel":"ch","unsubscribe":{"code":2000,"reason":"r"}}'


def test_the_first_thing_said_is_connect_and_the_last_is_why() -> None:
    assert UNIDIRECTIONAL.encoder.result(1, "connect", ConnectResult("c", "0")) == (
        b'{"connect":{"client":"c","version":"0"}}'
    )
    assert UNIDIRECTIONAL.disconnect(SHUTDOWN) == b'{"disconnect":{"code":3001,"reason":"shutdown"}}'


def test_a_refusal_is_told_apart_from_all_else() -> None:
    assert UNIDIRECTIONAL.read_error(UNIDIRECTIONAL.encoder.error(1, TOKEN_EXPIRED)) == TOKEN_EXPIRED
    assert UNIDIRECTIONAL.read_error(b'{"connect":{}}') is None


def test_a_message_is_a_connect_request() -> None:
    [command] = UNIDIRECTIONAL.decode(b'{"token":"t"}', 1)
    assert isinstance(command, Command)
    assert command.connect is not None
    assert command.connect.token == "t"
    with pytest.raises(MalformedMessage):
        UNIDIRECTIONAL.decode(b"[1]", 1)
