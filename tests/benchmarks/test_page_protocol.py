"""A listening client of the native dialect, by values: text in, events out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from benchmarks.page_protocol import Accepted, Denied, Event, PageProtocol, Pinged
from messageflow.cli.listen_protocol import Arrived, SomebodyJoined, SomebodyLeft

ALICE = "#alice"


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def opening(*, offset: int = 0, epoch: str = "e1", publications: list[Any] | None = None, **more: Any) -> str:
    sub = {"recoverable": True, "epoch": epoch, "offset": offset, "tag": f"t{offset}"} | more
    if publications:
        sub["publications"] = publications
    return json.dumps({"id": 1, "connect": {"client": "c", "version": "v", "ping": 15, "subs": {ALICE: sub}}})


def publication(offset: int, data: Any = None) -> str:
    return json.dumps({"push": {"channel": ALICE, "pub": {"data": data, "offset": offset, "tag": f"t{offset}"}}})


def numbers(events: list[Event]) -> list[int]:
    return [event.offset for event in events if isinstance(event, Arrived)]


def positions(protocol: PageProtocol) -> Any:
    return json.loads(protocol.connect("token"))["connect"].get("subs")


def test_first_connect_carries_the_token_and_no_position() -> None:
    assert json.loads(PageProtocol().connect("token")) == {
        "id": 1,
        "connect": {"token": "token", "name": "messageflow"},
    }


def test_opening_says_who_we_are_and_how_often_to_expect_a_ping() -> None:
    assert PageProtocol().receive(opening()) == [Accepted("c", 15.0, ())]


def test_data_passes_through_as_it_came() -> None:
    text = '{"push":{"channel":"news","pub":{"data":{"n":1.0,"u":"\\u00e9"}}}}'
    assert PageProtocol().receive(text) == [Arrived("news", 0, raw('{"n":1.0,"u":"\\u00e9"}'))]


def test_lines_of_one_message_are_taken_in_order() -> None:
    protocol = PageProtocol()
    events = protocol.receive("\n".join([opening(), publication(1), "{}", publication(2)]))
    assert [type(event) for event in events] == [Accepted, Arrived, Pinged, Arrived]


def test_second_connect_carries_the_position_after_the_last_publication() -> None:
    protocol = PageProtocol()
    protocol.receive("\n".join([opening(offset=3), publication(4), publication(5)]))
    assert positions(protocol) == {ALICE: {"recover": True, "epoch": "e1", "offset": 5, "tag": "t5"}}


def test_recovered_publications_arrive_once_and_move_the_position() -> None:
    protocol = PageProtocol()
    protocol.receive("\n".join([opening(), publication(1)]))
    missed = [{"data": n, "offset": n, "tag": f"t{n}"} for n in (2, 3)]
    events = protocol.receive(opening(offset=1, publications=missed, recovered=True, was_recovering=True))
    events += protocol.receive("\n".join([publication(3), publication(4)]))
    assert numbers(events) == [2, 3, 4]
    assert positions(protocol)[ALICE]["offset"] == 4


def test_recovery_that_reports_the_top_position_still_gives_what_was_missed() -> None:
    protocol = PageProtocol()
    protocol.receive(opening(offset=1))
    missed = [{"data": 2, "offset": 2, "tag": "t2"}]
    events = protocol.receive(opening(offset=2, publications=missed, recovered=True, was_recovering=True))
    assert numbers(events) == [2]


def test_history_that_was_lost_is_told_and_the_new_position_taken() -> None:
    protocol = PageProtocol()
    protocol.receive(opening(offset=9))
    assert protocol.receive(opening(offset=2, epoch="e2", was_recovering=True)) == [Accepted("c", 15.0, (ALICE,))]
    assert positions(protocol) == {ALICE: {"recover": True, "epoch": "e2", "offset": 2, "tag": "t2"}}


def test_channel_without_history_has_no_position() -> None:
    protocol = PageProtocol()
    protocol.receive(opening(recoverable=False))
    assert positions(protocol) is None


def test_channel_the_server_adds_later_is_resumed_too_until_it_is_taken_away() -> None:
    protocol = PageProtocol()
    protocol.receive('{"push":{"channel":"news","subscribe":{"recoverable":true,"epoch":"e","offset":7,"tag":"t"}}}')
    assert positions(protocol) == {"news": {"recover": True, "epoch": "e", "offset": 7, "tag": "t"}}
    protocol.receive('{"push":{"channel":"news","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}')
    assert positions(protocol) is None


def test_joins_and_leaves_name_who_came_and_went() -> None:
    join = '{"push":{"channel":"news","join":{"info":{"user":"bob","client":"c2"}}}}'
    events = PageProtocol().receive(f"{join}\n{join.replace('join', 'leave')}")
    assert [(type(event), event.info.user) for event in events if isinstance(event, SomebodyJoined | SomebodyLeft)] == [
        (SomebodyJoined, "bob"),
        (SomebodyLeft, "bob"),
    ]


def test_error_reply_is_a_denial() -> None:
    events = PageProtocol().receive('{"id":1,"error":{"code":109,"message":"token expired"}}')
    assert events == [Denied(109, "token expired")]


def test_replies_and_pushes_of_other_kinds_are_passed_over() -> None:
    assert PageProtocol().receive('{"id":2,"rpc":{"data":1}}\n{"push":{"channel":"x","message":{"data":1}}}') == []


@pytest.mark.parametrize("text", ["hello", "[]", '{"connect":1}', '{"push":{"pub":{}}}'])
def test_what_is_not_the_dialect_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PageProtocol().receive(text)
