"""HTTP/1.1 on one connection: order, pipelines, bodies, ends. In memory, without sleeps but to let a turn pass."""

from __future__ import annotations

import asyncio
import re

import pytest

from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.front_door.http_limits import HttpLimits
from tests.gateway.front_door.conftest import Port
from tests.waiting import until

GET = b"GET /echo HTTP/1.1\r\nHost: here\r\n\r\n"
LATER = b"GET /later HTTP/1.1\r\nHost: here\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


def statuses(written: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", written)]


def bodies(written: bytes) -> list[bytes]:
    """Return the bodies of answers, each of which says its length."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        size = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        found.append(rest[:size])
        written = rest[size:]
    return found


async def test_requests_on_a_kept_connection_are_answered_one_by_one(port: Port) -> None:
    wire = port.connect()
    assert [bodies(wire.receive(GET)) for _ in range(3)] == [[b"GET"]] * 3
    assert not wire.closed


@pytest.mark.parametrize("at", range(len(GET) + 1))
async def test_a_head_may_be_cut_anywhere(port: Port, at: int) -> None:
    wire = port.connect()
    wire.receive(GET[:at]) if at else None
    wire.receive(GET[at:]) if at < len(GET) else None
    assert bodies(wire.written) == [b"GET"]


async def test_empty_lines_before_a_request_count_for_nothing(port: Port) -> None:
    assert bodies(port.connect().receive(b"\r\n\r\n" + GET + b"\r\n" + GET)) == [b"GET", b"GET"]


async def test_a_pipeline_is_answered_in_its_order_whoever_answers(port: Port) -> None:
    wire = port.connect()
    wire.receive(GET + LATER + GET + LATER + GET)
    assert bodies(wire.written) == [b"GET"]
    port.later.begun[0].answer()
    await until(lambda: len(port.later.begun) == 2)
    assert bodies(wire.written) == [b"GET", b"nothing", b"GET"]
    port.later.begun[1].answer()
    await until(lambda: len(bodies(wire.written)) == 5)


async def test_a_pipeline_that_is_too_long_waits_in_the_kernel(port: Port) -> None:
    wire = port.connect()
    wire.receive(LATER)
    wire.receive(GET * 3000)
    assert wire.paused
    port.later.begun[0].answer()
    await until(lambda: len(bodies(wire.written)) == 3001)
    assert not wire.paused


async def test_who_takes_no_answers_gets_no_more_of_them(port: Port) -> None:
    wire = port.connect()
    wire.receive(GET)
    wire.connection.pause_writing()
    wire.receive(GET * 3000)
    assert len(bodies(wire.written)) == 1
    assert wire.paused
    wire.connection.resume_writing()
    await until(lambda: len(bodies(wire.written)) == 3001)
    assert not wire.paused


async def test_a_pipeline_stops_where_an_answer_is_not_taken(port: Port) -> None:
    wire = port.connect()
    wire.room = 1
    wire.receive(GET * 3)
    assert len(bodies(wire.written)) == 1
    wire.room = 100_000
    wire.connection.resume_writing()
    await until(lambda: len(bodies(wire.written)) == 3)


async def test_what_waits_begins_in_a_context_of_its_own(port: Port) -> None:
    """An application's context variables are not the next request's."""
    wire = port.connect()
    wire.receive(LATER + GET)
    port.later.begun[0].answer()
    assert bodies(wire.written) == [b"nothing"]
    await until(lambda: bodies(wire.written) == [b"nothing", b"GET"])


async def test_bodies_are_given_as_what_is_in_them(port: Port) -> None:
    wire = port.connect()
    wire.receive(b"POST /later HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS[:5])
    waiting = port.later.begun[0]
    assert (waiting.content, waiting.has_ended) == (b"ab", False)
    wire.receive(CHUNKS[5:] + GET)
    assert (waiting.content, waiting.has_ended) == (b"abc", True)
    waiting.answer()
    await until(lambda: bodies(wire.written) == [b"abc", b"GET"])


async def test_a_body_that_goes_on_after_its_answer_is_thrown_away(port: Port) -> None:
    wire = port.connect()
    wire.receive(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n01234")
    assert bodies(wire.written) == [b"POST"]
    wire.receive(b"56789" + GET)
    assert bodies(wire.written) == [b"POST", b"GET"]


@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_a_body_that_is_not_worth_the_wait_ends_its_connection(port: Port, length: str) -> None:
    wire = port.connect()
    wire.receive(f"POST /echo HTTP/1.1\r\nHost: here\r\n{length}\r\n\r\n".encode())
    assert b"\r\nconnection: close\r\n" in wire.written
    assert wire.ended
    assert not wire.closed  # it may still send, or it would be reset and never see the answer
    assert wire.receive(b"5\r\nhello\r\n" * 1000) == b""


async def test_who_sends_on_without_end_is_cut_off(port: Port) -> None:
    wire = port.connect()
    wire.receive(b"nothing")
    for _ in range(4):
        wire.receive(b"x" * 65_536)
    assert not wire.aborted
    wire.receive(b"x")
    assert wire.aborted


async def test_who_waits_for_a_word_that_does_not_come_is_not_kept(port: Port) -> None:
    wire = port.connect()
    wire.receive(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert b"\r\nconnection: close\r\n" in wire.written
    assert wire.ended


async def test_a_head_is_answered_like_a_get_and_without_a_body(port: Port) -> None:
    wire = port.connect()
    written = wire.receive(GET.replace(b"GET", b"HEAD") + GET)
    head, _, rest = written.partition(b"\r\n\r\n")
    assert b"\r\ncontent-length: 4" in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("request_", [GET.replace(b"1.1", b"1.0"), GET.replace(b"Host", b"Connection: close\r\nHost")])
async def test_a_connection_that_does_not_stay_says_so_and_takes_nothing_more(port: Port, request_: bytes) -> None:
    wire = port.connect()
    written = wire.receive(request_ + GET)
    assert statuses(written) == [200]
    assert b"\r\nconnection: close\r\n" in written
    assert wire.ended


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"get / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: here\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: here\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /" + b"x" * 70_000, 431),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /later HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nnothing\r\n", 400),
        (b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n" + GET, 200),  # as if any other: nothing becomes a tunnel
    ],
)
async def test_what_is_no_request_is_refused_at_once(port: Port, data: bytes, status: int) -> None:
    wire = port.connect()
    written = wire.receive(data)
    assert statuses(written)[0] == status
    if status != 200:
        assert b"\r\nconnection: close\r\n" in written
        assert wire.ended
        assert wire.receive(GET) == b""


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\n" + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"POST /echo HTTP/1.1\r\nHost: here\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    ],
)
async def test_nothing_is_smuggled_behind_a_body_with_two_ends(port: Port, data: bytes) -> None:
    wire = port.connect()
    assert statuses(wire.receive(data)) == [400]
    assert wire.ended


async def test_chunks_that_are_wrong_in_the_middle_of_an_answer_only_end_it(port: Port) -> None:
    wire = port.connect()
    wire.receive(b"POST /later HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
    port.later.begun[0].has_begun = True
    assert wire.receive(b"nothing\r\n") == b""
    assert wire.ended
    port.later.begun[0].answer()
    assert wire.written == b""


@pytest.mark.parametrize("half_closes", [True, False])
async def test_behind_tls_there_is_no_half_a_close(port: Port, half_closes: bool) -> None:
    wire = port.connect(half_closes=half_closes)
    wire.receive(b"nothing")
    assert (wire.ended, wire.closed) == (half_closes, not half_closes)


async def test_who_is_gone_is_told_to_whoever_answers(port: Port) -> None:
    wire = port.connect()
    wire.receive(LATER)
    wire.connection.connection_lost(None)
    assert port.later.begun[0].is_lost
    assert port.door.connections == set()


async def test_at_the_end_what_is_idle_closes_and_what_is_busy_is_answered_first(port: Port) -> None:
    idle, busy, body = port.connect(), port.connect(), port.connect()
    busy.receive(LATER + GET)
    body.receive(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n")
    for connection in tuple(port.door.connections):
        assert isinstance(connection, HttpConnection)
        connection.shutdown()
    assert (idle.closed, busy.closed, body.closed) == (True, False, True)
    port.later.begun[0].answer()
    assert statuses(busy.written) == [200]
    assert b"\r\nconnection: close\r\n" in busy.written
    assert busy.ended


async def test_another_protocol_gets_what_came_for_it_and_nothing_of_http_stays(port: Port) -> None:
    class Other(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data

    wire, other = port.connect(), Other()
    wire.receive(LATER + b"rest")
    port.later.begun[0].connection.hand_over(other)
    wire.receive(b" of it")
    assert other.data == b"rest of it"
    assert port.door.connections == set()


class TestTime:
    @pytest.fixture
    def limits(self) -> HttpLimits:
        return HttpLimits(handshake_timeout=0.02, keep_alive=0.02, linger=0.02, answer_timeout=0.05)

    @pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nX", b"\r\n"])
    async def test_a_head_that_does_not_come_is_cut_off_and_counted(self, port: Port, data: bytes) -> None:
        wire = port.connect()
        if data:
            wire.receive(data)
        await until(lambda: wire.aborted)
        assert port.slow == 1

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX", b"\r\n"])
    async def test_the_head_of_a_later_request_has_no_more_time(self, port: Port, data: bytes) -> None:
        wire = port.connect()
        wire.receive(GET + data)
        await until(lambda: wire.aborted)
        assert port.slow == 1

    async def test_an_idle_connection_is_closed_and_is_no_slow_head(self, port: Port) -> None:
        wire = port.connect()
        wire.receive(GET)
        await until(lambda: wire.closed)
        assert port.slow == 0

    async def test_an_answer_may_take_its_time(self, port: Port) -> None:
        wire = port.connect()
        wire.receive(LATER)
        await asyncio.sleep(0.1)
        assert not wire.is_closing()
        port.later.begun[0].answer()
        await until(lambda: wire.closed)

    async def test_who_goes_on_sending_after_a_refusal_is_cut_off(self, port: Port) -> None:
        wire = port.connect()
        wire.receive(b"nothing")
        assert wire.ended
        await until(lambda: wire.aborted)
        assert port.slow == 0

    async def test_a_body_that_does_not_end_after_its_answer_keeps_no_connection(self, port: Port) -> None:
        wire = port.connect()
        assert statuses(wire.receive(b"GET /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nabc")) == [200]
        await until(wire.is_closing)

    @pytest.mark.parametrize("option", [b"", b"Connection: close\r\n"])
    async def test_who_does_not_take_an_answer_is_cut_off(self, port: Port, option: bytes) -> None:
        wire = port.connect()
        wire.room = 1
        wire.receive(b"GET /echo HTTP/1.1\r\nHost: here\r\n" + option + b"\r\n")
        await until(lambda: wire.aborted)
        assert port.slow == 0
