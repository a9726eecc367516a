"""Pages: what they read and write, how they come back, and that they notice what was missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from benchmarks.pages import Page, Pages, PagesFailed, backoff, frames, masked, percentile
from benchmarks.plan import Plan
from benchmarks.suite import drain, recovery, reload
from benchmarks.suite.drain import busiest_second

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
POSITION = {"recoverable": True, "positioned": True, "epoch": "e", "offset": 0}
CONNECTED = {"id": 1, "connect": {"client": "c", "version": "1", "subs": {"*": POSITION}}}
RESUMED = {"id": 1, "connect": {"client": "c", "version": "1", "subs": {"*": {**POSITION, "recovered": True}}}}
LOST = {"id": 1, "connect": {"client": "c", "version": "1", "subs": {"*": {**POSITION, "epoch": "f"}}}}
GOODBYE = Frame(Opcode.CLOSE, Close(3001, "shutdown").serialize()).serialize(mask=False)
ANSWER = masked(8, (3001).to_bytes(2, "big"))


def said(*lines: object) -> bytes:
    return b"".join(Frame(Opcode.TEXT, json.dumps(line).encode()).serialize(mask=False) for line in lines)


def published(offset: int) -> dict[str, object]:
    data = {"type": "t", "payload": {"at": 0.0}}
    return {"push": {"channel": "*", "pub": {"data": data, "offset": offset, "tag": "t"}}}


@asynccontextmanager
async def gateway(*lives: bytes) -> AsyncIterator[int]:
    """The port of a server that says one of these to each connection, and keeps it until it goes or says goodbye."""
    left = iter(lives)
    ended = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(left))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(ANSWER)
        writer.close()
        ended.release()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for _ in lives:
            await ended.acquire()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(full=False, scratch=tmp_path)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_are_taken_whole_wherever_they_are_cut(size: int) -> None:
    sent = Frame(Opcode.TEXT, b"x" * size).serialize(mask=False) + Frame(Opcode.PING, b"").serialize(mask=False)
    for cut in {0, 1, 2, 3, 5, 11, size, len(sent) - 1}:
        received = bytearray(sent[:cut])
        found = list(frames(received))
        received += sent[cut:]
        found += frames(received)
        assert found == [(1, b"x" * size), (9, b"")]
        assert not received


@pytest.mark.parametrize("size", [0, 125, 126, 2_000])
def test_a_masked_frame_is_one_that_a_server_reads(size: int) -> None:
    reader = StreamReader()
    reader.feed_data(masked(1, b"y" * size))
    parsed: Iterator[None] = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as done:
        next(parsed)
    assert done.value.value.data == b"y" * size


def test_backoff_doubles_and_is_capped_and_may_be_nothing() -> None:
    assert [backoff(failures, 1.0) for failures in (0, 1, 2, 6, 2_000)] == [0.5, 1.0, 2.0, 20.0, 20.0]
    assert backoff(5, 0.0) == 0.0


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 1)] == [1.0, 2.0, 3.0]


def test_the_busiest_second_may_begin_anywhere() -> None:
    assert busiest_second([0.0, 0.9, 1.2, 1.3, 1.8, 5.0]) == 4
    assert busiest_second([]) == 0


async def test_a_page_that_gets_every_offset_is_content() -> None:
    async with gateway(UPGRADED + said(CONNECTED, published(1), published(2))) as port:
        pages = Pages([Page(0, port)])
        await pages.come()
        await pages.until(lambda page: page.offsets["*"] == 2, 5, "whole")
        await pages.leave()


async def test_a_gap_fails_the_run() -> None:
    async with gateway(UPGRADED + said(CONNECTED, published(1), published(3))) as port:
        pages = Pages([Page(0, port)])
        with pytest.raises(PagesFailed, match=r"1 of 1 .* \* went from 1 to 3"):
            await pages.come()
        await pages.leave()


async def test_a_history_that_is_gone_fails_the_run() -> None:
    async with gateway(UPGRADED + said(CONNECTED) + GOODBYE, UPGRADED + said(LOST)) as port:
        pages = Pages([Page(0, port)])
        with pytest.raises(PagesFailed, match=r"could not recover \*"):
            await come_twice(pages)
        await pages.leave()


async def test_a_page_that_was_sent_away_or_turned_away_comes_back() -> None:
    refused = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
    async with gateway(UPGRADED + said(CONNECTED) + GOODBYE, refused, UPGRADED + said(RESUMED)) as port:
        pages = Pages([Page(0, port)])
        await come_twice(pages)
        assert pages.all[0].refused == 1
        await pages.leave()


async def test_whoever_does_not_come_fails_the_run() -> None:
    async with gateway(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as port:
        pages = Pages([Page(0, port)])
        with pytest.raises(PagesFailed, match="1 of 1 are not connected"):
            await pages.come(seconds=0.1)
        await pages.leave()


async def come_twice(pages: Pages) -> None:
    """Let the only page come, be sent away, and come back by itself."""
    (page,) = pages.all
    page.returns = True
    await page.come()
    await pages.until(lambda page: bool(page.closed_at), 5, "sent away")
    await pages.until(lambda page: page.connected and page.connected_at > page.closed_at, 10, "back")


@pytest.mark.slow
def test_recovery_of_a_few_pages(plan: Plan) -> None:
    own, shared = recovery.sample(plan, 10)
    assert own.seconds > 0
    assert shared.seconds > 0


@pytest.mark.slow
def test_drain_of_a_few_pages(plan: Plan) -> None:
    assert drain.sample(plan, 10).busiest == 10


@pytest.mark.slow
def test_reload_of_a_few_pages(plan: Plan) -> None:
    sample = reload.sample(plan, 5)
    assert 0 < sample.told < sample.answered
    assert sample.told < sample.back
