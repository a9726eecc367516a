"""The native dialect, byte for byte as reference/native-protocol.md has it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from messageflow.core.codes import PERMISSION_DENIED, TOO_MANY_REQUESTS
from messageflow.core.protocol import (
    ClientInfo,
    ConnectResult,
    EmptyResult,
    HistoryResult,
    Joined,
    PresenceResult,
    PresenceStatsResult,
    Refreshed,
    SubscribeResult,
    Unsubscribed,
)
from messageflow.core.stream import Publication
from messageflow.dialects import native

VECTORS = Path(__file__).parents[1] / "vectors"


def test_a_frame_holds_commands_line_by_line() -> None:
    text = b'{"id":1,"connect":{"token":"t"}}\n{"id":2,"subscribe":{"channel":"a","recover":true,"offset":7}}\n'
    connect, subscribe = native.decode(text)
    assert (connect.id, connect.methods) == (1, ["connect"])
    assert connect.connect is not None
    assert connect.connect.token == "t"
    assert subscribe.subscribe is not None
    assert (subscribe.subscribe.channel, subscribe.subscribe.recover, subscribe.subscribe.offset) == ("a", True, 7)


def test_data_passes_undecoded() -> None:
    (command,) = native.decode(b'{"id":1,"publish":{"channel":"a","data":{"x": [1, 2.50]}}}')
    assert command.publish is not None
    assert bytes(command.publish.data) == b'{"x": [1, 2.50]}'


def test_an_unknown_method_is_a_command_without_any() -> None:
    (command,) = native.decode(b'{"id":1,"bogus":{}}')
    assert command.methods == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"[]",
        b'{"id":"1"}',
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":1,"subscribe":{"channel":5}}',
        b'{"id":1,"subscribe":{"offset":-1}}',
        b'{"id":1}\xff',
        b'{"id":1,"id":1}',
        b'{"id":1,"rpc":{"data":NaN}}',
        b'{"id":1,"rpc":{"data":' + b"[" * 33 + b"]" * 33 + b"}}",
        b'{"id":1}\n{"id":',
    ],
)
def test_what_is_no_sequence_of_commands_is_refused(text: bytes) -> None:
    with pytest.raises(native.MalformedCommand):
        native.decode(text)


def test_empty_fields_are_left_out_but_for_those_always_written() -> None:
    assert native.encode_result(1, "unsubscribe", EmptyResult()) == b'{"id":1,"unsubscribe":{}}'
    assert native.encode_result(1, "subscribe", SubscribeResult()) == b'{"id":1,"subscribe":{}}'
    stats = native.encode_result(1, "presence_stats", PresenceStatsResult(0, 0))
    assert stats == b'{"id":1,"presence_stats":{"num_clients":0,"num_users":0}}'
    assert native.encode_result(1, "presence", PresenceResult({})) == b'{"id":1,"presence":{"presence":{}}}'
    page = native.encode_result(1, "history", HistoryResult([], "e", 0))
    assert page == b'{"id":1,"history":{"publications":[],"epoch":"e","offset":0}}'
    info = native.encode_push("a", Joined(ClientInfo("", "c")))
    assert info == b'{"push":{"channel":"a","join":{"info":{"user":"","client":"c"}}}}'


def test_connect_is_answered_as_the_protocol_has_it() -> None:
    result = ConnectResult("c", "1", ping=25, pong=True)
    assert native.encode_result(1, "connect", result) == (
        b'{"id":1,"connect":{"client":"c","version":"1","ping":25,"pong":true}}'
    )


def test_errors_say_when_they_may_pass() -> None:
    assert native.encode_error(3, PERMISSION_DENIED) == b'{"id":3,"error":{"code":103,"message":"permission denied"}}'
    assert native.encode_error(3, TOO_MANY_REQUESTS).endswith(b'"temporary":true}}')


@pytest.mark.parametrize(
    ("publication", "text"),
    [
        (Publication(0, "", 0.0, b"1"), b'{"push":{"channel":"a\\"b","pub":{"data":1}}}'),
        (
            Publication(7, "t", 0.0, b"{}", b'{"user":"u","client":"c"}', b'{"k":"v"}'),
            b'{"push":{"channel":"a\\"b","pub":{"data":{},"info":{"user":"u","client":"c"},"offset":7,"tag":"t",'
            b'"tags":{"k":"v"}}}}',
        ),
    ],
    ids=["bare", "full"],
)
def test_a_publication_is_written_as_it_came(publication: Publication, text: bytes) -> None:
    assert native.encode_publication('a"b', publication) == text
    msgspec.json.decode(text)


def test_a_push_about_the_connection_names_no_channel() -> None:
    assert native.encode_push("", Refreshed(True, 60)) == b'{"push":{"refresh":{"expires":true,"ttl":60}}}'
    unsubscribed = native.encode_push("a", Unsubscribed(2500, "insufficient state"))
    assert unsubscribed == b'{"push":{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}'


def test_the_vectors_shared_with_the_browser_client_are_there() -> None:
    assert json.loads((VECTORS / "frames.json").read_text())
