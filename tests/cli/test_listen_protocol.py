"""An event stream read, by values: bytes in, events out, and the id to come back with."""

from __future__ import annotations

import msgspec
import pytest

from messageflow.cli.listen_protocol import (
    Accepted,
    Arrived,
    Ended,
    Event,
    ListenProtocol,
    Missed,
    SomebodyJoined,
    SomebodyLeft,
)
from messageflow.core.channels import BROADCAST
from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import SHUTDOWN
from messageflow.core.event_ids import EventIds
from messageflow.core.protocol import ConnectResult, Joined, Left, PublicationView, SubscribeResult
from messageflow.core.stream import Publication
from messageflow.dialects.event_source import ENVELOPES

ALICE, BOB = "#alice", ClientInfo("bob", "b1")
OPENING = b'retry: 1234\n\nevent: connect\ndata: {"client":"c","channels":["#alice"],"ping":15}\n\n:\nid: ,k:e:0:\n\n'
FIRST = b'data: {"channel":"#alice","offset":1,"data":{"n":1.0,"u":"\\u00e9"}}\nid: ,k:e:1:t\n\n'


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def numbers(events: list[Event]) -> list[int]:
    return [event.offset for event in events if isinstance(event, Arrived)]


def test_a_stream_begins_with_who_we_are_and_how_often_to_expect_a_sign_of_life() -> None:
    protocol = ListenProtocol()
    assert protocol.receive(OPENING) == [Accepted("c", 15.0)]
    assert protocol.last_event_id == ",k:e:0:"


def test_data_passes_through_as_it_came() -> None:
    assert ListenProtocol().receive(FIRST) == [Arrived(ALICE, 1, raw('{"n":1.0,"u":"\\u00e9"}'))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_stream_may_be_cut_anywhere(end: bytes) -> None:
    stream = (OPENING + b":\n\n" + FIRST).replace(b"\n", end)
    for at in range(len(stream) + 1):
        protocol = ListenProtocol()
        events = protocol.receive(stream[:at]) + protocol.receive(stream[at:])
        assert (numbers(events), protocol.last_event_id) == ([1], ",k:e:1:t")


def test_what_was_unfinished_counts_for_nothing_when_the_stream_breaks() -> None:
    protocol = ListenProtocol()
    protocol.receive(OPENING + FIRST[:-1])
    assert protocol.last_event_id == ",k:e:0:"
    protocol.begin()
    protocol.receive(b":\n\n")
    assert protocol.last_event_id == ",k:e:0:"
    assert numbers(protocol.receive(FIRST)) == [1]
    assert protocol.last_event_id == ",k:e:1:t"


def test_an_id_without_an_event_counts() -> None:
    protocol = ListenProtocol()
    assert protocol.receive(b":\nid: ,k:e:7:t\n\n") == []
    assert protocol.last_event_id == ",k:e:7:t"


def test_what_this_version_does_not_know_is_passed_over() -> None:
    known = b'data: {"channel":"a","offset":0,"data":1,"later":2}\nsize: 7\n\n'
    assert ListenProtocol().receive(b"event: invented\ndata: nonsense\n\n" + known) == [Arrived("a", 0, raw("1"))]


def test_what_is_none_of_a_gateway_is_said() -> None:
    with pytest.raises(ValueError, match="missing required field"):
        ListenProtocol().receive(b"data: {}\n\n")


def test_it_understands_what_the_gateway_writes() -> None:
    encoder, ids, protocol = ENVELOPES.encoder, EventIds(b""), ListenProtocol()
    subs = {
        ALICE: SubscribeResult(
            epoch="e", offset=1, tag="t", was_recovering=True, recovered=True,
            publications=[PublicationView(raw('"missed"'), offset=2, tag="u")],
        ),
        BROADCAST: SubscribeResult(epoch="f", was_recovering=True),
    }  # fmt: skip
    events = protocol.receive(
        ids.complete_each(encoder.result(1, "connect", ConnectResult("c", "v", ping=15, subs=subs)))
    )
    first = protocol.last_event_id
    events += protocol.receive(ids.complete(encoder.publication(ALICE, Publication(3, "v", 0.0, b'[1,\n"two"]'))))
    events += protocol.receive(encoder.publication("no:history", Publication(0, "", 0.0, b"null")))
    events += protocol.receive(encoder.push("room", Joined(BOB)) + encoder.push("room", Left(BOB)))
    events += protocol.receive(ENVELOPES.disconnect(SHUTDOWN))
    assert events == [
        Accepted("c", 15.0),
        Missed((BROADCAST,)),
        Arrived(ALICE, 2, raw('"missed"')),
        Arrived(ALICE, 3, raw('[1,\n"two"]')),
        Arrived("no:history", 0, raw("null")),
        SomebodyJoined("room", {"user": "bob", "client": "b1"}),
        SomebodyLeft("room", {"user": "bob", "client": "b1"}),
        Ended(3001, "shutdown"),
    ]
    assert ("e:2:u" in first, "e:3:v" in protocol.last_event_id) == (True, True)
