"""The classic dialect, byte for byte as docs/classic.md has it."""

from __future__ import annotations

import json

import pytest

from messageflow.core.codes import TOKEN_EXPIRED
from messageflow.core.protocol import Command, ConnectRequest, ConnectResult, RefreshRequest, Unsubscribed
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage
from messageflow.dialects.classic import GENERATIONS

BASELAYER = GENERATIONS["baselayer"]


@pytest.mark.parametrize(
    ("generation", "keys"),
    [
        ("message_flow", ["username", "id", "data"]),
        ("cesium", ["username", "action", "payload"]),
        ("baselayer", ["user_id", "actionType", "payload"]),
    ],
)
def test_each_generation_has_its_keys(generation: str, keys: list[str]) -> None:
    dialect = GENERATIONS[generation]
    action = Publication(3, "t", 0.0, b'{"type":"a/B","payload":{"n": 1}}')
    assert json.loads(dialect.publication("#alice", action)) == dict(zip(keys, ["alice", "a/B", {"n": 1}], strict=True))
    assert json.loads(dialect.publication("*", action))[keys[0]] == "*"
    assert json.loads(dialect.request) == {keys[1]: "AUTH REQUEST"}
    assert json.loads(dialect.failed) == {keys[1]: "AUTH FAILED"}
    assert json.loads(dialect.result(1, "connect", ConnectResult("c", "0"))) == {keys[1]: "AUTH OK"}
    assert dialect.error(1, TOKEN_EXPIRED) == dialect.failed
    assert dialect.user_key == keys[0]


@pytest.mark.parametrize(
    ("data", "kind", "payload"),
    [
        (rb'{"type":"\u00e9\"","payload":[1, 2]}', 'é"', [1, 2]),
        (b'{"type":"t"}', "t", {}),
        (b'{"type":"t","payload":null,"meta":1}', "t", None),
        (b'{"type":5,"payload":1}', "", {"type": 5, "payload": 1}),
        (b'{"text":"hello"}', "", {"text": "hello"}),
        (b"[1]", "", [1]),
    ],
)
def test_a_push_is_an_action_and_all_else_is_the_payload_of_one_without_a_type(
    data: bytes, kind: str, payload: object
) -> None:
    message = json.loads(BASELAYER.publication("#al#ice", Publication(1, "", 0.0, data)))
    assert message == {"user_id": "al#ice", "actionType": kind, "payload": payload}


def test_there_is_no_word_for_other_channels_and_other_pushes() -> None:
    assert BASELAYER.publication("news", Publication(1, "", 0.0, b'{"type":"t"}')) == b""
    assert BASELAYER.push("#alice", Unsubscribed(2000, "r")) == b""


def test_a_message_is_a_token() -> None:
    assert BASELAYER.decode(b" a.b.c\n", 1) == [Command(id=1, connect=ConnectRequest(token="a.b.c"))]
    assert BASELAYER.decode(b"", 1) == [Command(id=1, connect=ConnectRequest())]
    assert BASELAYER.decode_renewal(b"a.b.c") == [Command(id=2, refresh=RefreshRequest(token="a.b.c"))]
    with pytest.raises(MalformedMessage):
        BASELAYER.decode(b"\xff", 1)


def test_the_heartbeat_is_no_json() -> None:
    assert BASELAYER.ping == b"<3"
