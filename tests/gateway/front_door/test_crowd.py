"""More HTTP connections than there is room for: who waits for nothing of ours makes room, else the last is refused."""

from __future__ import annotations

import asyncio

import pytest

from messageflow.gateway.front_door.file_room import FileRoom, Sockets
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.front_door.routes import Routes
from tests.gateway.front_door.conftest import Echo, Later, Wire

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
OTHERS = 20


class Unsecured:
    """A connection whose TLS handshake is under way."""

    in_handshake = True

    def __init__(self, door: FrontDoor) -> None:
        elsewhere = FrontDoor(Routes({}, {}, Echo()), HttpLimits(), lambda *, handshake: None)
        self.wire = Wire(elsewhere)
        self.transport: asyncio.Transport = self.wire
        door.opened(self)

    def close(self) -> None:
        raise AssertionError("it was not to be closed")

    def turn_away(self, response: HttpResponse) -> None:
        raise AssertionError("it can be told nothing yet")


class Crowd:
    """A port with room for sixteen connections."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.later = Later()
        self.room = FileRoom(128)
        routes = Routes({b"/later": self.later}, {}, Echo())
        self.door = FrontDoor(routes, HttpLimits(), lambda *, handshake: None, self.room, self.tell)
        self.room.join(lambda: Sockets(84, len(self.door.connections)))
        self.room.note(OTHERS + 84)
        self.wires = [Wire(self.door) for _ in range(16)]

    def tell(self, *, refused: bool) -> None:
        self.told.append(refused)


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


async def test_who_has_sent_nothing_for_longest_makes_room(crowd: Crowd) -> None:
    assert Wire(crowd.door).receive(GET % b"").startswith(b"HTTP/1.1 200")
    assert [wire.aborted for wire in crowd.wires] == [True] + [False] * 15
    assert crowd.told == [False]


async def test_who_is_idle_after_an_answer_goes_before_those_whose_head_is_due(crowd: Crowd) -> None:
    crowd.wires[7].receive(GET % b"")
    Wire(crowd.door)
    assert [number for number, wire in enumerate(crowd.wires) if wire.aborted] == [7]


async def test_who_waits_for_an_answer_is_never_ended_and_the_next_is_refused(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.receive(GET % b"later")
    late = Wire(crowd.door)
    assert late.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in late.written
    assert b"connection: close\r\n" in late.written
    assert late.receive(GET % b"") == b""
    assert crowd.told == [True]
    crowd.later.begun[0].answer()
    assert Wire(crowd.door).receive(GET % b"").startswith(b"HTTP/1.1 200")
    assert not any(wire.aborted for wire in crowd.wires[1:])


async def test_who_was_refused_and_lingers_makes_room_first(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.receive(GET % b"later")
    refused = Wire(crowd.door)
    Wire(crowd.door)
    assert refused.aborted
    assert crowd.told == [True, False]


async def test_whose_tls_handshake_is_due_makes_room_like_one_whose_head_is(crowd: Crowd) -> None:
    for wire in crowd.wires[1:]:
        wire.receive(GET % b"later")
    crowd.door.forget(crowd.wires[0].connection)
    silent = Unsecured(crowd.door)
    assert Wire(crowd.door).receive(GET % b"").startswith(b"HTTP/1.1 200")
    assert silent.wire.aborted
    assert crowd.told == [False]


async def test_who_comes_by_tls_where_nobody_can_make_room_is_told_so_after_the_handshake(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.receive(GET % b"later")
    late = Unsecured(crowd.door)
    assert crowd.told == []
    crowd.door.forget(late)
    assert Wire(crowd.door).written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert crowd.told == [True]
    assert not late.wire.aborted


async def test_who_does_not_send_the_rest_of_a_request_makes_room(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.receive(POST)
    crowd.wires[0].receive(b"a")  # some more of it
    crowd.wires[1].receive(b"abc")  # all: now it waits for us
    Wire(crowd.door)
    assert [number for number, wire in enumerate(crowd.wires) if wire.aborted] == [2]
    assert crowd.told == [False]


async def test_a_request_that_is_not_read_on_our_side_makes_no_room(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.receive(POST)
        wire.connection.hold(True)
    crowd.wires[3].connection.hold(False)
    Wire(crowd.door)
    assert [number for number, wire in enumerate(crowd.wires) if wire.aborted] == [3]


async def test_who_does_not_take_their_answer_makes_room(crowd: Crowd) -> None:
    for wire in crowd.wires:
        wire.room = 10
        wire.receive(GET % b"later")
    for begun in crowd.later.begun[4:8]:
        begun.answer()
    crowd.wires[4].connection.resume_writing()  # taken: it is idle now
    for left in (4, 5):
        Wire(crowd.door).receive(GET % b"later")
        assert [number for number, wire in enumerate(crowd.wires) if wire.aborted][-1] == left


async def test_who_does_not_answer_the_end_of_tls_makes_room(crowd: Crowd) -> None:
    for wire in crowd.wires[1:]:
        wire.receive(GET % b"later")
    crowd.door.forget(crowd.wires[0].connection)
    secure = Wire(crowd.door, half_closes=False)
    secure.receive(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert secure.closed
    Wire(crowd.door)
    assert secure.aborted


async def test_who_has_owed_something_for_longest_makes_room_whatever_it_is(crowd: Crowd) -> None:
    for wire in crowd.wires[:8]:
        crowd.door.forget(wire.connection)
        crowd.door.opened(wire.connection)  # its head is due from now on
    for wire in crowd.wires[8:]:
        wire.receive(POST)
    crowd.wires[8].receive(b"a")
    ended = []
    for _ in range(16):
        Wire(crowd.door).receive(GET % b"later")
        ended.append(next(n for n, wire in enumerate(crowd.wires) if wire.aborted and n not in ended))
        crowd.door.forget(crowd.wires[ended[-1]].connection)
    assert sorted(ended) == list(range(16))
    assert ended[-1] == 8
