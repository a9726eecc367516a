"""The native dialect in Protobuf, beside Google's library with the official messages, and beside JSON of the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import SLOW, TOO_MANY_REQUESTS, UNKNOWN_CHANNEL
from messageflow.core.protocol import (
    METHODS,
    Command,
    ConnectResult,
    EmptyResult,
    FaultyCommand,
    HistoryResult,
    Joined,
    Left,
    Moved,
    PresenceResult,
    PresenceStatsResult,
    PublicationView,
    Push,
    Refreshed,
    RefreshResult,
    Result,
    RPCResult,
    SubRefreshResult,
    Subscribed,
    SubscribeResult,
    Unsubscribed,
)
from messageflow.core.stream import Publication
from messageflow.dialects import native, protobuf
from messageflow.dialects.base import MalformedMessage, TooManyCommands
from messageflow.dialects.protobuf_fields import COMMAND, EMULATION, PUSH, REPLY, REQUESTS, RESULTS
from tests.dialects import official_protobuf as official
from tests.dialects.official_protobuf import CLASSES, fill, read, read_messages, varint, write

MOST = 100
CALLED = {
    "PublicationView": "Publication",
    "Joined": "Join",
    "Left": "Leave",
    "Unsubscribed": "Unsubscribe",
    "Subscribed": "Subscribe",
    "Refreshed": "Refresh",
    "ErrorCode": "Error",
}
STRUCTS = {**REQUESTS, **RESULTS}
TABLES: dict[str, Mapping[str, int]] = {
    CALLED.get(kind.__name__, kind.__name__): numbers for kind, numbers in STRUCTS.items() if kind is not EmptyResult
} | {"Command": COMMAND, "Reply": REPLY, "Push": PUSH, "EmulationRequest": EMULATION}


@pytest.mark.parametrize("name", TABLES)
def test_each_field_has_its_official_number(name: str) -> None:
    fields = CLASSES[name].DESCRIPTOR.fields_by_name
    assert {field: fields[field].number for field in TABLES[name]} == TABLES[name]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_each_field_of_a_struct_has_a_number(kind: type) -> None:
    assert set(STRUCTS[kind]) == set(getattr(kind, "__struct_fields__", getattr(kind, "_fields", ())))


# What comes

COMMANDS: list[dict[str, Any]] = [
    {"id": 1, "connect": {}},
    {"id": 1, "connect": {"token": "t" * 300, "name": "js", "version": "5", "data": {"a": [1, None]}}},
    {"id": 1, "connect": {"former": ["a", "b"]}},
    {"id": 1, "connect": {"subs": {"a": {"recover": True, "offset": 7, "epoch": "e", "tag": "t"}, "ü": {}}}},
    {"id": 2**32 - 1, "subscribe": {"channel": "a", "token": "t", "flag": 2, "type": 1, "delta": "fossil", "data": 1}},
    {"id": 300, "subscribe": {"channel": "a", "recover": True, "offset": 2**63 - 1, "positioned": True}},
    {"id": 4, "subscribe": {"channel": "ü" * 70, "recoverable": True, "join_leave": True}},
    {"id": 5, "unsubscribe": {"channel": "a"}},
    {"id": 6, "publish": {"channel": "a", "data": {"text": "hällo"}, "idempotency_key": "k"}},
    {"id": 7, "presence": {"channel": "a"}},
    {"id": 8, "presence_stats": {"channel": "a"}},
    {"id": 9, "history": {"channel": "a", "limit": -1, "reverse": True}},
    {"id": 9, "history": {"channel": "a", "limit": 5, "since": {"offset": 3, "epoch": "e", "tag": "t"}}},
    {"id": 10, "history": {"channel": "a", "since": {}}},
    {"id": 11, "ping": {}},
    {"send": {"data": "x"}},
    {"id": 12, "send": {"data": None, "key": "k", "age": 0}},
    {"id": 13, "rpc": {"method": "sum", "data": [1, 2.5]}},
    {"id": 14, "refresh": {"token": "t"}},
    {"id": 15, "sub_refresh": {"channel": "a", "token": "t"}},
    {"id": 16, "publish": {"channel": "a"}, "unsubscribe": {"channel": "b"}},
    {"id": 17},
    {},
]  # fmt: skip


def shown(value: Any) -> Any:
    """Return a command so that it can be compared."""
    if isinstance(value, msgspec.Struct):
        return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    return bytes(value) if isinstance(value, Raw) else value


def decoded(message: bytes) -> list[Command | FaultyCommand]:
    return protobuf.decode(message, MOST)


def test_a_command_says_what_its_json_says() -> None:
    text = b"\n".join(map(msgspec.json.encode, COMMANDS))
    assert list(map(shown, decoded(write(COMMANDS)))) == list(map(shown, native.decode(text)))


def test_data_passes_undecoded() -> None:
    message = CLASSES["Command"](id=1)
    message.publish.data = b'{"x": [1, 2.50]}'
    [command] = decoded(delimited(message.SerializeToString()))
    assert isinstance(command, Command)
    assert command.publish is not None
    assert bytes(command.publish.data) == b'{"x": [1, 2.50]}'


def delimited(message: bytes) -> bytes:
    return varint(len(message)) + message


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(b"\x80\x7d\x05", id="a number"),
        pytest.param(b"\x81\x7d" + bytes(8), id="eight bytes"),
        pytest.param(b"\x82\x7d\x02ab", id="something with a length"),
        pytest.param(b"\x85\x7d" + bytes(4), id="four bytes"),
        pytest.param(b"\x28\x05", id="a number where a method would be"),
        pytest.param(b"\x0a\x01x", id="a text where the id would be"),
    ],
)
def test_what_is_not_known_is_passed_over(unknown: bytes) -> None:
    known = fill(official.Command(), {"id": 7, "unsubscribe": {"channel": "a"}}).SerializeToString()
    for message in (unknown + known, known + unknown):
        [command] = decoded(delimited(message))
        assert isinstance(command, Command)
        assert (command.id, command.methods) == (7, ["unsubscribe"])


def test_of_a_field_that_stands_twice_the_last_counts() -> None:
    [command] = decoded(delimited(b"\x08\x01\x08\x02" + b"\x32\x03\x0a\x01a" + b"\x32\x03\x0a\x01b"))
    assert isinstance(command, Command)
    assert command.unsubscribe is not None
    assert (command.id, command.unsubscribe.channel) == (2, "b")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="an empty frame"),
        pytest.param(b"\x05\x08\x01", id="a message cut off"),
        pytest.param(b"\x80", id="a length cut off"),
        pytest.param(b"\xff" * 9 + b"\x7f", id="a length of more than 64 bits"),
        pytest.param(b"\xff" * 11, id="a length without an end"),
        pytest.param(
            delimited(b"\x08\x01\x3a\x00\x80\x7d" + b"\xff" * 9 + b"\x7f"), id="a number of more than 64 bits"
        ),
        pytest.param(delimited(b"\x08"), id="an id cut off"),
        pytest.param(delimited(b"\x08\xff\xff\xff\xff\x10\x3a\x00"), id="an id of more than 32 bits"),
        pytest.param(delimited(b"\x08\x01\x3a\x05\x0a"), id="a method cut off"),
        pytest.param(delimited(b"\x08\x01\x3a\x02\x0a\x05"), id="a field of a method cut off"),
        pytest.param(delimited(b"\x08\x01\x3a\x03\x0a\x01\xff"), id="a text that is not UTF-8"),
        pytest.param(delimited(b"\x08\x01\x81\x7d\x00"), id="eight bytes cut off"),
        pytest.param(delimited(b"\x08\x01\x83\x7d\x84\x7d"), id="a group"),
        pytest.param(delimited(b"\x02\x00"), id="the field 0"),
        pytest.param(delimited(b"\x80\x80\x80\x80\x10\x00"), id="a field of a number that none can have"),
        pytest.param(write([{"id": 1, "ping": {}, "subscribe": {"offset": 2**63}}]), id="wrong content, two methods"),
        pytest.param(b'{"id":1,"connect":{}}', id="JSON"),
    ],
)
def test_what_is_no_protobuf_message_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decoded(message)
    with pytest.raises(MalformedMessage):
        decoded(write([{"id": 1, "ping": {}}]) + message if message else b"")


@pytest.mark.parametrize("method", ["publish", "rpc", "send", "connect", "subscribe"])
def test_bytes_that_are_no_json_come_as_json_and_go_as_bytes(method: str) -> None:
    message = CLASSES["Command"](id=7)
    getattr(message, method).data = b"\x00\xff"
    [command] = decoded(delimited(message.SerializeToString()))
    stored = bytes(getattr(command, method).data)
    assert stored == b'{"$bytes":"AP8="}'
    [publication] = read_messages(protobuf.encode_publication("a", Publication(0, "", 0.0, stored)))
    assert publication.push.pub.data == b"\x00\xff"
    [reply] = read_messages(protobuf.encode_result(7, "rpc", RPCResult(Raw(stored))))
    assert reply.rpc.data == b"\x00\xff"


def test_an_offset_that_none_can_have_is_the_fault_of_its_command_alone() -> None:
    faulty, neighbour = decoded(
        write([{"id": 7, "subscribe": {"channel": "a", "offset": 2**63}}, {"id": 8, "ping": {}}])
    )
    assert faulty == FaultyCommand(7, "subscribe", "offset is larger than 9223372036854775807")
    assert isinstance(neighbour, Command)


def test_more_commands_than_there_may_be_are_refused_before_they_are_read() -> None:
    assert len(protobuf.decode(b"\x00" * 3, 3)) == 3
    with pytest.raises(TooManyCommands):
        protobuf.decode(b"\x00" * 4 + b"\xff", 3)


def test_many_former_ids_take_time_in_proportion() -> None:
    [command] = decoded(write([{"id": 1, "connect": {"former": [""] * 20_000}}]))
    assert isinstance(command, Command)
    assert command.connect is not None
    assert len(command.connect.former) == 20_000


def test_the_answer_to_a_ping_is_an_empty_command() -> None:
    assert protobuf.PROTOBUF.pong == write([{}]) == protobuf.PROTOBUF.encoder.ping
    [reply] = read_messages(protobuf.PROTOBUF.encoder.ping)
    assert not reply.ListFields()


def test_a_request_with_commands_of_a_stream_is_read() -> None:
    request = CLASSES["EmulationRequest"](node="n", session="s", data=b"\x00\x01")
    assert protobuf.read_emulated(request.SerializeToString()) == ("s", "n", b"\x00\x01")


# What goes

VIEW = PublicationView(
    Raw(b'{"a":1}'), Raw(b'{"user":"u","client":"c","conn_info":[1]}'), 2**40, "tag", Raw(b'{"k":"v","":""}')
)
SUB = SubscribeResult(
    True, 5, True, "epoch", [VIEW, PublicationView(Raw(b"0"))], True, 300, "tag", True, Raw(b"7"), True
)
RESULTS_OF: list[tuple[str, Result]] = [
    ("connect", ConnectResult("c", "1.0")),
    ("connect", ConnectResult("c", "1.0", True, 600, Raw(b"{}"), {"a": SUB, "b": SubscribeResult()})),
    ("connect", ConnectResult("c", "1.0", ping=15, pong=True, session="s", node="n")),
    ("connect", ConnectResult("c", "v" * 200, subs={str(n): SubscribeResult(recoverable=True) for n in range(200)})),
    ("subscribe", SUB),
    ("subscribe", SubscribeResult()),
    ("subscribe", SubscribeResult(recoverable=True, epoch="e", offset=1, tag="t", positioned=True)),
    ("unsubscribe", EmptyResult()),
    ("publish", EmptyResult()),
    ("send", EmptyResult()),
    ("presence", PresenceResult({"c": ClientInfo("u", "c", Raw(b"1"), Raw(b'"x"')), "d": ClientInfo("", "d")})),
    ("presence", PresenceResult({})),
    ("presence_stats", PresenceStatsResult(0, 0)),
    ("presence_stats", PresenceStatsResult(1000, 7)),
    ("history", HistoryResult([VIEW], "e", 2**40, "tag")),
    ("history", HistoryResult([], "", 0)),
    ("refresh", RefreshResult("c", "1", True, 60)),
    ("sub_refresh", SubRefreshResult(True, 60)),
    ("rpc", RPCResult(Raw(b'{"sum":3}'))),
]  # fmt: skip
PUSHES: list[Push] = [
    Joined(ClientInfo("u", "c", Raw(b"{}"))),
    Left(ClientInfo("", "c")),
    Unsubscribed(2500, "insufficient state"),
    Subscribed(True, "e", 3, "t", True, Raw(b"[]")),
    Subscribed(),
    Refreshed(True, 600),
    Moved(7, "t", 3),
    Moved(8),
]


@pytest.mark.parametrize(("method", "result"), RESULTS_OF)
def test_a_reply_says_what_its_json_says(method: str, result: Result) -> None:
    assert read(protobuf.encode_result(300, method, result)) == [json.loads(native.encode_result(300, method, result))]


@pytest.mark.parametrize("error", [UNKNOWN_CHANNEL, TOO_MANY_REQUESTS])
def test_an_error_says_what_its_json_says(error: Any) -> None:
    assert read(protobuf.encode_error(1, error)) == [json.loads(native.encode_error(1, error))]


@pytest.mark.parametrize("push", PUSHES)
@pytest.mark.parametrize("channel", ["ü", ""])
def test_a_push_says_what_its_json_says(channel: str, push: Push) -> None:
    assert read(protobuf.encode_push(channel, push)) == [json.loads(native.encode_push(channel, push))]


def test_the_end_of_a_stream_says_what_its_json_says() -> None:
    assert read(protobuf.PROTOBUF.disconnect(SLOW)) == [json.loads(native.NATIVE.disconnect(SLOW))]


@given(
    st.text(min_size=1, max_size=300),
    st.integers(0, 2**63 - 1),
    st.sampled_from(("ü" * 100, 0, [None], {"a": "x" * 20_000})),
    st.none() | st.tuples(st.text(max_size=200), st.text(min_size=1, max_size=20)),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
@settings(max_examples=30, deadline=None)
def test_a_publication_says_what_its_json_says(
    channel: str, offset: int, data: Any, client: tuple[str, str] | None, tags: dict[str, str]
) -> None:
    info = msgspec.json.encode(ClientInfo(*client)) if client else b""
    encoded_tags = msgspec.json.encode(tags) if tags else b""
    publication = Publication(offset, "0123456789ab", 0.0, msgspec.json.encode(data), info, encoded_tags)
    assert read(protobuf.encode_publication(channel, publication)) == [
        json.loads(native.encode_publication(channel, publication))
    ]


def test_what_was_stored_by_somebody_else_harms_no_delivery() -> None:
    publication = Publication(1, "t", 0.0, b"1", b'{"who":1}', b"[1]")
    assert read(protobuf.encode_publication("a", publication)) == [
        {"push": {"channel": "a", "pub": {"data": 1, "offset": 1, "tag": "t"}}}
    ]


def test_a_publication_byte_by_byte() -> None:
    publication = Publication(3, "0123456789ab", 0.0, b"{}")
    assert protobuf.encode_publication("ch", publication).hex(" ") == " ".join(
        (
            "1d 22 1b",  # Reply, of 29 bytes: push, of 27
            "12 02 63 68",  # channel
            "22 15",  # pub, of 21
            "22 02 7b 7d",  # data
            "30 03",  # offset
            "c2 3e 0c 30 31 32 33 34 35 36 37 38 39 61 62",  # tag, which is ours
        )
    )


# Anything that may come

ALL_COMMANDS = write(COMMANDS)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.builds(delimited, st.binary(max_size=60)),
        st.builds(
            lambda at, wrong, message: message[: at % len(message)] + wrong + message[at % len(message) + len(wrong) :],
            st.integers(0, 10_000),
            st.binary(min_size=1, max_size=3),
            st.sampled_from([write([each]) for each in COMMANDS] + [ALL_COMMANDS]),
        ),
    )
)
@example(
    delimited(b"\x08\x00\x22\x0b\x32\x01\x00\x0a\x06token1")
)  # headers, which we pass over, with no message within
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_commands_or_malformed_and_what_google_reads_is_the_same(message: bytes) -> None:
    try:
        commands = decoded(message)
    except MalformedMessage:
        return
    for part, command in zip(official.split(message), commands, strict=True):
        if isinstance(command, Command):
            theirs = official.Command.FromString(part)
            known = [field.name for field, _ in theirs.ListFields() if field.name in METHODS]
            assert (command.id, command.methods) == (theirs.id, known)


@pytest.mark.parametrize("end", range(0, len(ALL_COMMANDS), 7))
def test_a_message_that_is_cut_anywhere_is_fewer_commands_or_malformed(end: int) -> None:
    try:
        commands = decoded(ALL_COMMANDS[:end])
    except MalformedMessage:
        return
    assert len(commands) < len(COMMANDS)
