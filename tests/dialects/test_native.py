"""The native dialect, byte for byte as docs/protocol.md has it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import PERMISSION_DENIED, TOO_MANY_REQUESTS
from messageflow.core.json import check_readable, drop_nulls
from messageflow.core.protocol import (
    Command,
    ConnectResult,
    EmptyResult,
    FaultyCommand,
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
from messageflow.dialects.base import MalformedMessage

VECTORS = Path(__file__).parents[1] / "vectors"


def decoded(text: bytes) -> list[Command]:
    """Return commands of which none is faulty."""
    return [command for command in native.decode(text) if isinstance(command, Command)]


def test_a_frame_holds_commands_line_by_line() -> None:
    text = b'{"id":1,"connect":{"token":"t"}}\n{"id":2,"subscribe":{"channel":"a","recover":true,"offset":7}}\n'
    connect, subscribe = decoded(text)
    assert (connect.id, connect.methods) == (1, ["connect"])
    assert connect.connect is not None
    assert connect.connect.token == "t"
    assert subscribe.subscribe is not None
    assert (subscribe.subscribe.channel, subscribe.subscribe.recover, subscribe.subscribe.offset) == ("a", True, 7)


def test_data_passes_undecoded() -> None:
    (command,) = decoded(b'{"id":1,"publish":{"channel":"a","data":{"x": [1, 2.50]}}}')
    assert command.publish is not None
    assert bytes(command.publish.data) == b'{"x": [1, 2.50]}'


def test_a_message_may_have_a_key_and_an_age() -> None:
    text = b'{"send":{"data":1}}\n{"id":2,"send":{"data":{"type":"city","payload":"Ulm"},"key":"k","age":0}}'
    plain, keyed = decoded(text)
    assert plain.send is not None
    assert (plain.id, bytes(plain.send.data), plain.send.key, plain.send.age) == (0, b"1", "", None)
    assert keyed.send is not None
    assert (keyed.id, keyed.send.key, keyed.send.age) == (2, "k", 0)
    assert bytes(keyed.send.data) == b'{"type":"city","payload":"Ulm"}'
    assert native.encode_result(2, "send", EmptyResult()) == b'{"id":2,"send":{}}'


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
        b'{"id":1}\xff',
        b'{"id":1,"id":1}',
        b'{"id":1,"id":2,"publish":{"channel":5}}',
        b'{"id":1,"publish":{"channel":5},"rpc":{}}',
        b'{"id":1,"bogus":{"data":NaN}}',
        b'{"id":4294967296,"publish":{"data":NaN}}',
        b'{"id":true,"publish":{"data":NaN}}',
        b'{"id":1,"publish":{"data":NaN}',
        b'{"id":1,"publish":{"data":\'a\'}}',
        b'{"id":1,"publish":{"channel":"a","data":',
        b'[["id",1],["publish",NaN]]',
        b"[" * 40 + b"]" * 40,
        b'{"id":9999999999,"rpc":{"data":' + b"[" * 33 + b"]" * 33 + b"}}",
        b'{"bogus":{"data":' + b"[" * 33 + b"]" * 33 + b'},"id":1}',
        b'{"id":1}\n{"id":',
    ],
)
def test_what_is_no_sequence_of_commands_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedMessage):
        native.decode(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (b'{"id":7,"subscribe":{"channel":"a","token":null,"offset":null}}', b'{"id":7,"subscribe":{"channel":"a"}}'),
        (b'{"id":7,"history":{"channel":"a","since":null,"limit":null}}', b'{"id":7,"history":{"channel":"a"}}'),
        (b'{"id":7,"history":{"since":{"epoch":null,"offset":3}}}', b'{"id":7,"history":{"since":{"offset":3}}}'),
        (b'{"id":7,"connect":{"subs":{"a":{"epoch":null}}}}', b'{"id":7,"connect":{"subs":{"a":{}}}}'),
        (b'{"id":7,"rpc":{"method":null,"data":{"a": null}}}', b'{"id":7,"rpc":{"data":{"a": null}}}'),
        (b'{"id":null,"send":{"data":null}}', b'{"send":{"data":null}}'),
    ],
)
def test_null_is_absent_but_in_data(text: bytes, same: bytes) -> None:
    assert native.decode(text) == native.decode(same)
    assert not isinstance(native.decode(text)[0], FaultyCommand)


def test_null_is_looked_for_no_deeper_than_anything_is_read() -> None:
    deep = b'{"id":7,"history":{"since":%bnull%b}}' % (b'{"a":' * 30, b"}" * 30)
    [command] = native.decode(deep)
    assert isinstance(command, Command)
    body = b'{"a":' * 400 + b"null" + b"}" * 400
    assert drop_nulls(body) == body


@pytest.mark.parametrize(
    ("text", "method", "reason"),
    [
        (b'{"id":7,"subscribe":{"channel":5}}', "subscribe", "Expected `str`, got `int`"),
        (b'{"id":7,"subscribe":{"offset":-1}}', "subscribe", "offset"),
        (b'{"id":7,"publish":5}', "publish", "Expected `object | null`"),
        (b'{"id":7,"publish":{"channel":"a","channel":"b"}}', "publish", "same key twice"),
        (b'{"id":7,"publish":{"data":NaN}}', "publish", "NaN"),
        (b'{"publish":{"data":-Infinity},"id":7}', "publish", "-Infinity"),
        (rb'{"id":7,"publish":{"data":"well done \ud83d"}}', "publish", "middle of a character"),
        (rb'{"id":7,"publish":{"data":"\ude00\ud83d"}}', "publish", "middle of a character"),
        (rb'{"id":7,"publish":{"data":"\ud83d\u0041"}}', "publish", "middle of a character"),
        (rb'{"id":7,"publish":{"channel":"\udcff"}}', "publish", "middle of a character"),
        (b'{"id":7,"publish":{"data":"\x00"}}', "publish", "control character"),
        (b'{"id":7,"publish":{"data":' + b"9" * 5000 + b"}}", "publish", "number is larger"),
        (b'{"id":7,"rpc":{"data":' + b"[" * 33 + b"]" * 33 + b"}}", "rpc", "deeper than 32"),
        (b'{ "rpc" : {"data":' + b"[" * 9000 + b"]" * 9000 + b'} , "id" : 7 }', "rpc", "deeper than 32"),
    ],
)
def test_what_is_wrong_with_one_command_is_said_of_that_command(text: bytes, method: str, reason: str) -> None:
    first, faulty, last = native.decode(b'{"id":1,"ping":{}}\n%b\n{"id":2,"ping":{}}' % text)
    assert isinstance(first, Command)
    assert isinstance(last, Command)
    assert isinstance(faulty, FaultyCommand)
    assert (faulty.id, faulty.method) == (7, method)
    assert reason.lower() in faulty.reason.lower()


def test_data_may_nest_as_deep_as_over_the_api() -> None:
    (command,) = decoded(b'{"id":1,"publish":{"channel":"a","data":' + b"[" * 32 + b"]" * 32 + b"}}")
    assert command.publish is not None
    check_readable(bytes(command.publish.data))


def test_data_may_name_a_key_twice() -> None:
    (command,) = decoded(b'{"id":1,"publish":{"channel":"a","data":{"a":1,"a":2}}}')
    assert command.publish is not None
    assert bytes(command.publish.data) == b'{"a":1,"a":2}'


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
