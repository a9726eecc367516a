"""Slow readers: what those who do not read cost the gateway in memory and the others in latency."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import uvloop

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, at_most, at_most_times_peer
from benchmarks.pages import Page, Pages, PagesFailed
from benchmarks.plan import Plan
from benchmarks.publishing import publish_at_rate
from benchmarks.servers.base import Server, running
from benchmarks.servers.gateway import metric, token
from messageflow.gateway.settings import Settings

READERS, STALLED = 4_000, 1_000
CHANNELS = [f"kept:{number}" for number in range(20)]
SIZE = 8192
MIB = 2**20
PER_SECOND = MIB // SIZE  # publications, over all channels
BUDGET = Settings().limits.buffer_memory / MIB
WAIT_SECONDS = 60.0
METHOD = (
    f"{READERS:,} readers and {STALLED:,} pages that read nothing, dealt out over {len(CHANNELS)} channels; "
    f"{PER_SECOND} publications a second of {SIZE:,} bytes, in turn: 1 MiB/s is published, which makes "
    f"{READERS // len(CHANNELS)} MiB/s to the readers. Those who stall have a small receive buffer and segments of "
    "1,460 bytes, as outside loopback, so that little waits in the kernel. In turns with it the same readers alone. "
    "Memory is the peak of the server's resident memory less what it had before the first publication; what those who "
    "stall take is that less the same of the readers alone. Latency is the readers', from when a publish is due. Then "
    "those who stalled read on, and come back where the gateway gave up their connection: each must get everything, in "
    "order, or the run fails; it also fails when fewer than these fell behind."
)


class Sample(NamedTuple):
    """One run: MiB by which memory rose, milliseconds to the readers, cores the server took while publications came,
    how often sessions fell behind, and how many that stalled had to come back.
    """

    rise: float
    p50: float
    p99: float
    cores: float
    fell_behind: int = 0
    cut_off: int = 0


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    seconds = plan.of(short=8, full=15)
    alone, beside = plan.alternate(
        plan.long_rounds,
        alone=lambda: sample(plan, READERS, 0, seconds),
        stalled=lambda: sample(plan, READERS, STALLED, seconds),
    )
    return [
        Figure(
            f"memory for {STALLED:,} stalled readers",
            "MiB",
            tuple(one.rise - other.rise for one, other in zip(beside, alone, strict=True)),
            targets=(at_most(BUDGET),),
        ),
        Figure(
            f"p99 latency beside {STALLED:,} stalled readers",
            "ms",
            tuple(one.p99 for one in beside),
            "alone",
            tuple(one.p99 for one in alone),
            (at_most_times_peer(1.1),),
        ),
        Figure("the same, p50", "ms", tuple(one.p50 for one in beside), "alone", tuple(one.p50 for one in alone)),
    ]


def sample(plan: Plan, readers: int, stalled: int, seconds: int) -> Sample:
    """Publish for some seconds, then let those who stalled read on.

    Raises:
        CrowdFailed: a reader was cut off, or did not get everything in order.
        PagesFailed: one who stalled did not get everything in order, or too few fell behind.
    """
    server = in_channels(plan.ours(plan.scratch))
    each = PER_SECOND * seconds // len(CHANNELS)  # publications in a channel
    with (
        running(server, plan.scratch) as process,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        crowd(server, readers, plan.scratch, expect=readers * each, sample=1) as subscribers,
    ):
        pages = Pages(far_page(server, readers + number) for number in range(stalled))
        runner.run(come_and_stall(pages))
        before = process.rss_bytes()
        used = process.cpu_seconds()
        took = publish_at_rate([to_channel(server, name) for name in CHANNELS], each * len(CHANNELS), PER_SECOND, SIZE)
        cores = (process.cpu_seconds() - used) / took
        received = subscribers.wait(WAIT_SECONDS)
        fell_behind = int(metric(server.port, "messageflow_fell_behind_total"))
        cut_off = runner.run(read_on(pages, each))
        rise = (process.peak_rss_bytes() - before) / MIB
    if received.lost or received.repeated or received.fewest != each:
        raise CrowdFailed(f"not everybody got the {each} publications in order: {received}")
    if fell_behind < stalled:
        raise PagesFailed(f"only {fell_behind} sessions fell behind, and {stalled} did not read")
    return Sample(rise, received.p50_ms, received.p99_ms, cores, fell_behind, cut_off)


async def come_and_stall(pages: Pages) -> None:
    """Connect all, and then read nothing."""
    await pages.come()
    for page in pages.all:
        page.returns = True
        page.stall()


async def read_on(pages: Pages, each: int) -> int:
    """Read until every page has all of its channel; how many were cut off meanwhile."""
    for page in pages.all:
        page.read_on()
    await pages.until(lambda page: max(page.offsets.values(), default=0) == each, WAIT_SECONDS, "whole")
    cut_off = sum(bool(page.closed_at) for page in pages.all)
    await pages.leave()
    return cut_off


def far_page(server: Server, number: int) -> Page:
    """A page far away with one of the channels."""
    return Page(number, server.port, [CHANNELS[number % len(CHANNELS)]], far=True)


def in_channels(server: Server) -> Server:
    """The server, to subscribers who are dealt out over the channels."""

    def first_frames(connections: int) -> Iterator[str]:
        for number in range(connections):
            subscribe = {"id": 2, "subscribe": {"channel": CHANNELS[number % len(CHANNELS)]}}
            yield json.dumps({"id": 1, "connect": {"token": token(number)}}) + "\n" + json.dumps(subscribe)

    return replace(server, subscribe=replace(server.subscribe, first_frames=first_frames))


def to_channel(server: Server, channel: str) -> Server:
    """The server, to a publisher in this channel."""

    def body(text: str) -> str:
        return json.dumps({"channel": channel, "data": {"text": text}})

    return replace(server, publish=replace(server.publish, body=body))
