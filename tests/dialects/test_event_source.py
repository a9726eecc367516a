"""The dialect of EventSource, byte for byte as docs/event-streams.md has it."""

from __future__ import annotations

import pytest
from msgspec import Raw

from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import SHUTDOWN, TOKEN_EXPIRED
from messageflow.core.event_ids import EventIds
from messageflow.core.protocol import (
    ConnectResult,
    Joined,
    Moved,
    PublicationView,
    Subscribed,
    SubscribeResult,
    Unsubscribed,
)
from messageflow.core.stream import Publication
from messageflow.dialects.base import MalformedMessage
from messageflow.dialects.event_source import EVENT_SOURCE, write_event


def test_a_publication_is_an_unnamed_event_with_its_data() -> None:
    publication = Publication(7, "ab", 0.0, b'{"type":"a","payload":1}')
    assert EVENT_SOURCE.encoder.publication("#alice", publication) == (
        b'data: {"type":"a","payload":1}\nid: 0FCEioDN:7:ab\n\n'
    )


def test_one_without_a_place_in_a_stream_has_no_id() -> None:
    assert EVENT_SOURCE.encoder.publication("a", Publication(0, "", 0.0, b"1")) == b"data: 1\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_line_of_data_is_a_line_of_its_own(end: bytes) -> None:
    assert write_event(b"[1," + end + b"2]") == b"data: [1,\ndata: 2]\n\n"


def test_what_is_no_publication_has_a_name() -> None:
    push = EVENT_SOURCE.encoder.push
    assert push("a", Unsubscribed(2000, "server unsubscribe")) == (
        b'event: unsubscribe\ndata: {"channel":"a","code":2000,"reason":"server unsubscribe"}\n\n'
    )
    joined = push("a", Joined(ClientInfo("bob", "c1", conn_info=Raw(b'{"name":"Bob"}'))))
    assert joined == (
        b'event: join\ndata: {"channel":"a","info":{"user":"bob","client":"c1","conn_info":{"name":"Bob"}}}\n\n'
    )


def test_what_is_not_for_a_reader_moves_its_id_on_and_nothing_else() -> None:
    moved = EVENT_SOURCE.encoder.push("#alice", Moved(7, "ab", 2))
    assert moved == b":\nid: 0FCEioDN:7:ab\n\n"  # no data: a browser takes the id and tells the page nothing
    ids = EventIds(b"p")
    ids.complete(EVENT_SOURCE.encoder.push("#alice", Subscribed(epoch="e", offset=5, tag="t5")))
    assert ids.complete(moved) == b":\nid: p,0FCEioDN:e:7:ab\n\n"


def test_a_stream_begins_with_where_each_channel_stands_and_what_was_missed() -> None:
    missed = SubscribeResult(
        epoch="e", offset=1, tag="t1", recovered=True, was_recovering=True,
        publications=[PublicationView(Raw(b"2"), offset=2, tag="t2")],
    )  # fmt: skip
    lost = SubscribeResult(epoch="f", offset=9, tag="t9", was_recovering=True)
    result = ConnectResult("c1", "0", subs={"a": missed, "b": lost, "c": SubscribeResult()})
    assert EVENT_SOURCE.encoder.result(1, "connect", result).split(b"\n\n")[:-1] == [
        b'event: connect\ndata: {"client":"c1","channels":["a","b","c"]}',
        b":\nid: =QzkRxusN:e:1:t1\nid: =oSDQrVDx:f:9:t9",
        b'event: reset\ndata: {"channels":["b"]}',
        b"data: 2\nid: QzkRxusN:2:t2",
    ]


def test_a_refusal_is_told_apart_from_all_else() -> None:
    assert EVENT_SOURCE.read_error(EVENT_SOURCE.encoder.error(1, TOKEN_EXPIRED)) == TOKEN_EXPIRED
    assert EVENT_SOURCE.read_error(EVENT_SOURCE.encoder.result(1, "connect", ConnectResult("c", "0"))) is None


def test_the_end_says_why() -> None:
    assert EVENT_SOURCE.disconnect(SHUTDOWN) == b'event: disconnect\ndata: {"code":3001,"reason":"shutdown"}\n\n'


def test_nothing_comes_back() -> None:
    with pytest.raises(MalformedMessage):
        EVENT_SOURCE.decode(b"{}", 10)
