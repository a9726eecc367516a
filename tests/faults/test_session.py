"""The reader of a fault run hides nothing: what arrives is recorded as it arrives, and where it stands is told."""

from __future__ import annotations

import json

import pytest

from tests.faults.history import Event, Label, Payload, Position, Receive, Reset, Resumed, Subscribed
from tests.faults.session import Denied, Session


class Reader:
    """A session, and what it recorded."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.session = Session("client", ["#alice"], ["open:a"], self.events.append)

    def take(self, *lines: object) -> list[str]:
        return self.session.take("\n".join(json.dumps(line) for line in lines))


def connected(**subscription: object) -> dict[str, object]:
    return {"id": 1, "connect": {"client": "c", "ping": 2, "pong": True, "subs": {"#alice": subscription}}}


def publication(offset: int, channel: str = "#alice") -> dict[str, object]:
    return {"push": {"channel": channel, "pub": {"data": {"type": "t", "payload": 1}, "offset": offset, "tag": "x"}}}


def test_the_first_connection_asks_for_nothing_missed() -> None:
    connect, subscribe = (json.loads(line) for line in Reader().session.opening("token").split("\n"))
    assert connect == {"id": 1, "connect": {"token": "token"}}
    assert subscribe == {"id": 2, "subscribe": {"channel": "open:a"}}


def test_the_next_one_asks_from_where_it_stands() -> None:
    reader = Reader()
    reader.session.opening("token")
    reader.take(connected(epoch="e", offset=3, tag="t"), {"id": 2, "subscribe": {"epoch": "f", "offset": 0}})
    reader.take(publication(4))
    connect, subscribe = (json.loads(line) for line in reader.session.opening("token").split("\n"))
    assert connect["connect"]["subs"] == {"#alice": {"recover": True, "epoch": "e", "offset": 4, "tag": "x"}}
    assert subscribe["subscribe"] == {"channel": "open:a", "recover": True, "epoch": "f", "offset": 0, "tag": ""}


def test_it_need_not_know_tags() -> None:
    session = Session("client", ["#alice"], [], lambda event: None, tags=False)
    session.opening("token")
    session.take(json.dumps(connected(epoch="e", offset=3, tag="t")))
    assert json.loads(session.opening("token"))["connect"]["subs"] == {
        "#alice": {"recover": True, "epoch": "e", "offset": 3}
    }


def test_it_says_how_it_came_in() -> None:
    reader = Reader()
    for recovered in (False, True, False):
        reader.session.opening("token")
        reader.take(connected(epoch="e", offset=3, recovered=recovered))
    kinds: list[type[Event]] = [Subscribed, Resumed, Reset]
    assert [type(event) for event in reader.events] == kinds
    assert reader.session.positions["#alice"] == Position("e", 3)


def test_what_comes_twice_too_early_or_unasked_is_recorded_as_it_came() -> None:
    reader = Reader()
    reader.session.opening("token")
    reader.take(connected(epoch="e", offset=3))
    reader.take(publication(4), publication(4), publication(9), publication(8), publication(1, "#bob"))
    offsets = [event.position.offset for event in reader.events if isinstance(event, Receive)]
    assert offsets == [4, 4, 9, 8, 1]


def test_a_payload_is_recorded_by_its_label_and_both_checksums() -> None:
    reader = Reader()
    reader.session.opening("token")
    label = Label("producer", 1, "#alice", "alice")
    whole = Payload.make(label, "filler")
    broken = {**{name: getattr(whole, name) for name in whole.__struct_fields__}, "filler": "fillet"}
    reader.take(connected(epoch="e", offset=0))
    for offset, data in enumerate(({"type": "t", "payload": broken}, broken, [1]), start=1):
        reader.take({"push": {"channel": "#alice", "pub": {"data": data, "offset": offset}}})
    received = [event for event in reader.events if isinstance(event, Receive)]
    assert [event.label for event in received] == [label, label, None]
    assert all(event.crc != event.computed for event in received[:2])


def test_it_answers_pings_and_subscribes_again_when_told_to() -> None:
    reader = Reader()
    reader.session.opening("token")
    reader.take(connected(epoch="e", offset=0), {"id": 2, "subscribe": {"epoch": "f", "offset": 5, "tag": "t"}})
    assert reader.session.whole
    again = {"push": {"channel": "open:a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}}
    pong, subscribe = reader.take({}, again)
    assert pong == "{}"
    assert json.loads(subscribe)["subscribe"]["offset"] == 5


@pytest.mark.parametrize(
    "line",
    [
        {"id": 1, "error": {"code": 109, "message": "token expired"}},
        {"push": {"channel": "open:a", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}},
    ],
)
def test_a_refusal_ends_the_connection(line: object) -> None:
    reader = Reader()
    reader.session.opening("token")
    with pytest.raises(Denied):
        reader.take(line)
