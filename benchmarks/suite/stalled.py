"""Slow readers: what those who do not read cost the gateway in memory and the others in latency."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, at_most, at_most_times_peer
from benchmarks.plan import Plan
from benchmarks.publishing import publish_at_rate
from benchmarks.servers.base import Server, running
from benchmarks.servers.gateway import metric, token

READERS, STALLED = 4_000, 1_000
CHANNELS = 20
SIZE = 8192
PER_SECOND = 2**20 // SIZE  # 1 MiB/s of publications, over all channels
BUDGET_MIB = 256
WAIT_SECONDS = 60
MIB = 2**20
METHOD = (
    f"{READERS:,} readers and {STALLED:,} that read nothing, dealt out over {CHANNELS} channels; {PER_SECOND} "
    f"publications a second of {SIZE:,} bytes, in turn: 1 MiB/s is published, which makes "
    f"{PER_SECOND * SIZE * READERS / CHANNELS / MIB:.0f} MiB/s to the readers. Those who stall have a small receive "
    "buffer and segments of 1,460 bytes, as outside loopback, so that little waits in the kernel. In turns with it the "
    "same readers alone. Memory is the peak of the server's resident memory less what it had before the first "
    "publication, and for those who stall the rise less that of the readers alone. Latency is the readers', from when "
    "a publish is due. Then those who stalled read on: each must get everything, in order, on the connection it has, "
    "and the gateway must have counted at least as many that fell behind."
)


class Sample(NamedTuple):
    """One run: MiB by which memory rose, milliseconds to the readers, and how often somebody fell behind."""

    rise: float
    p50: float
    p99: float
    fell_behind: int


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
            targets=(at_most(BUDGET_MIB),),
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
        CrowdFailed: somebody was cut off, or did not get everything in order, or too few fell behind.
    """
    server = in_channels(plan.ours(plan.scratch))
    each = PER_SECOND * seconds // CHANNELS  # publications in a channel
    everybody = readers + stalled
    with (
        running(server, plan.scratch) as process,
        crowd(server, everybody, plan.scratch, expect=everybody * each, sample=1, stalled=stalled) as subscribers,
    ):
        before = process.rss_bytes()
        publish_at_rate([to_channel(server, name) for name in names()], each * CHANNELS, PER_SECOND, SIZE)
        fell_behind = int(metric(server.port, "messageflow_fell_behind_total"))
        subscribers.wake()
        received = subscribers.wait(WAIT_SECONDS)
        rise = (process.peak_rss_bytes() - before) / MIB
    if received.lost or received.repeated or received.fewest != each:
        raise CrowdFailed(f"not everybody got the {each} publications in order: {received}")
    if fell_behind < stalled:
        raise CrowdFailed(f"only {fell_behind} sessions fell behind; {stalled} did not read")
    return Sample(rise, received.p50_ms, received.p99_ms, fell_behind)


def names() -> list[str]:
    """The channels."""
    return [f"kept:{number}" for number in range(CHANNELS)]


def in_channels(server: Server) -> Server:
    """The server, to subscribers who are dealt out over the channels."""

    def first_frames(connections: int) -> Iterator[str]:
        channels = names()
        for number in range(connections):
            subscribe = {"id": 2, "subscribe": {"channel": channels[number % CHANNELS]}}
            yield json.dumps({"id": 1, "connect": {"token": token(number)}}) + "\n" + json.dumps(subscribe)

    return replace(server, subscribe=replace(server.subscribe, first_frames=first_frames))


def to_channel(server: Server, channel: str) -> Server:
    """The server, to a publisher in this channel."""

    def body(text: str) -> str:
        return json.dumps({"channel": channel, "data": text})

    return replace(server, publish=replace(server.publish, body=body))
