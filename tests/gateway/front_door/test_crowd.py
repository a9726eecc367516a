"""More HTTP connections than there is room for: who waits for nothing of ours makes room, else the last is refused."""

from __future__ import annotations

import pytest

from messageflow.gateway.front_door.file_room import FileRoom, Sockets
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.routes import Routes
from tests.gateway.front_door.conftest import Echo, Later, Wire

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
OTHERS = 20


class Crowd:
    """A port with room for sixteen connections."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.later = Later()
        self.room = FileRoom(128)
        routes = Routes({b"/later": self.later}, {}, Echo())
        self.door = FrontDoor(routes, HttpLimits(), lambda: None, self.room, self.tell)
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
