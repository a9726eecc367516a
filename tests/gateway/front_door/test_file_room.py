"""What a limit of open files leaves for browsers, for requests, and for the process itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.gateway.front_door.file_room import UNLIMITED, FileRoom, Sockets


class Port:
    """Sockets that come and go."""

    def __init__(self, limit: int) -> None:
        self.room = FileRoom(limit)
        self.websockets = self.requests = 0
        self.room.join(lambda: Sockets(self.websockets, self.requests))


def test_without_a_limit_there_is_room_for_all() -> None:
    room = FileRoom()
    room.note(1_000_000)
    assert (room.websockets_limit, room.requests_limit) == (UNLIMITED, UNLIMITED)
    assert (room.is_near, room.is_used_up) == (False, False)


def test_the_reserve_is_a_tenth_within_bounds() -> None:
    assert [FileRoom(limit).reserve for limit in (64, 1024, 20_000, 1_048_576)] == [24, 102, 256, 256]
    assert [FileRoom(limit).kept for limit in (64, 1024, 20_000)] == [8, 25, 64]


def test_websockets_leave_the_reserve_and_requests_what_is_kept() -> None:
    port = Port(128)
    port.room.note(20)
    assert (port.room.for_connections, port.room.websockets_limit, port.room.requests_limit) == (84, 84, 16)
    port.websockets = 84
    port.room.note(104)
    assert (port.room.for_connections, port.room.websockets_limit, port.room.requests_limit) == (84, 84, 16)
    port.requests = 16
    port.room.reckon()
    assert (port.room.websockets_limit, port.room.requests_limit) == (84, 16)
    assert port.room.open_files == 120


def test_what_the_rest_of_the_process_opens_is_taken_from_browsers_first() -> None:
    port = Port(128)
    port.websockets = 40
    port.room.note(100)
    assert port.room.websockets_limit == 44
    port.room.note(110)
    assert (port.room.websockets_limit, port.room.requests_limit) == (40, 10)
    port.room.note(125)
    assert (port.room.websockets_limit, port.room.requests_limit) == (40, -5)


def test_who_waits_for_nothing_of_ours_does_not_keep_a_websocket_out() -> None:
    room = FileRoom(128)
    counted = Sockets(0, 0)
    room.join(lambda: counted)
    room.note(20)
    seen = []
    for sockets in ((0, 100, 0), (0, 100, 16), (0, 100, 17), (84, 16, 16), (83, 16, 16), (83, 25, 40)):
        counted = Sockets(*sockets)
        room.reckon()
        seen.append((room.websockets_limit > counted.websockets, room.can_be_made))
    assert seen == [(False, False), (False, False), (False, True), (False, False), (False, True), (False, True)]


def test_it_is_near_at_nine_tenths_of_what_browsers_may_take_and_used_up_at_the_last() -> None:
    port = Port(128)
    seen = []
    for open_files in (93, 94, 126, 127):
        port.room.note(open_files)
        seen.append((port.room.is_near, port.room.is_used_up, port.room.is_free_again))
    assert seen == [(False, False, True), (True, False, True), (True, False, False), (True, True, False)]


@given(
    st.integers(64, 4096),
    st.integers(0, 200),
    st.lists(st.sampled_from(("request", "websocket", "gone", "answered", "look")), max_size=400),
)
def test_whoever_comes_and_goes_what_is_kept_is_never_taken(limit: int, others: int, events: list[str]) -> None:
    port = Port(limit)
    room = port.room
    room.note(others)
    for event in events * 3:
        if event == "request":
            if port.requests + 1 > room.requests_limit:
                room.reckon()
            if port.requests + 1 <= room.requests_limit:
                port.requests += 1
        elif event == "websocket" and port.requests:
            if port.websockets >= room.websockets_limit:
                room.reckon()
            port.requests -= 1
            port.websockets += port.websockets < room.websockets_limit
        elif event == "gone" and port.websockets:
            port.websockets -= 1
        elif event == "answered" and port.requests:
            port.requests -= 1
        elif event == "look":
            room.note(others + port.websockets + port.requests)
        taken = others + port.websockets + port.requests
        assert taken <= max(limit - room.kept, others)
        assert port.websockets <= max(0, limit - others - room.reserve)
