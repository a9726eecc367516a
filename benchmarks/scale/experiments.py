"""The measured runs: those the costs are fitted to, and those they must predict; of memory, see `memory_runs`.

Each run is one system, started anew, in phases of which each is made mostly of one kind of work. A round is all runs
once; rounds follow one another, so that what disturbs the machine for a while disturbs what is fitted and what is
predicted alike.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.crowd import CrowdFailed, parse_received
from benchmarks.scale.fitting import Observation
from benchmarks.scale.load import Visitors, burst, check_missed, come, leave_behind, miss, publish
from benchmarks.scale.meter import Meter, started
from benchmarks.scale.model import Resource, Unit
from benchmarks.servers.base import Running, running
from benchmarks.servers.gateway import CHANNEL, with_flags
from benchmarks.servers.over_redis import System
from benchmarks.tools import native

PING_SECONDS = 15.0  # as shipped
PINGS_WATCHED = 1
WARM_UP = 50
FIRST = 10_000  # the number of the first who comes after those
IDLE_SECONDS = 4.0
REFUSE_SECONDS = 2.0
GROUP = 100  # subscribers of one of the smaller channels of the mixed run
SHARED = [f"bench:shared-{number}" for number in range(4)]
QUIET = "bench:quiet"
STORED = "kept:stored"


@dataclass(frozen=True, slots=True)
class Size:
    """How large the runs are.

    Args:
        fitted: connections of a phase of the fitted runs.
        publications: of a phase of the fitted runs, one at a time.
        burst_seconds: how long many publish at once.
        mixed: connections of the mixed run that is predicted.
        mixed_seconds: how long there is published in it.
        back: connections of the reconnect that is predicted.
    """

    fitted: int = 1_000
    publications: int = 200
    burst_seconds: int = 2
    mixed: int = 3_000
    mixed_seconds: int = 20
    back: int = 8_000


FULL = Size()
SHORT = Size(fitted=600, publications=120, burst_seconds=1, mixed=1_500, mixed_seconds=10, back=4_000)

Run = Callable[[Path, Size], list[Observation]]
Runs = Mapping[str, Run]


def none(_: int) -> list[str]:
    """Of a connection that holds no channel beside its own two."""
    return []


def shared(_: int) -> list[str]:
    """Of a connection that holds the four channels that all hold."""
    return SHARED


def own(number: int) -> list[str]:
    """Of a connection that holds three channels that nobody else holds."""
    return [f"bench:own-{number}-{each}" for each in range(3)]


def in_channel(_: int) -> list[str]:
    """Of a connection that comes back."""
    return [CHANNEL]


def in_two(number: int) -> list[str]:
    """Of a connection of the mixed run: the channel of all, and that of a group."""
    return [CHANNEL, f"bench:group-{number // GROUP}"]


def fitted(scratch: Path, size: Size, *, nodes: int) -> list[Observation]:
    """Every kind of work but refusing, mostly one a phase; over Redis, or with the embedded broker for 0 nodes.

    What is small is measured while few channels are open: their positions are compared all together every few seconds.
    """
    half = size.fitted // 2
    with started(scratch, nodes) as system, ExitStack() as crowds:
        meter = Meter(system, PING_SECONDS)
        warm_up(meter, system, crowds, scratch)
        with meter.phase("idle"):
            time.sleep(IDLE_SECONDS)
        with meter.phase("lone", [Resource.REDIS_MEMORY]) as counts:
            publish(system, [STORED], 5 * size.publications, 400, (0, 0), counts)
        with meter.phase("to one") as counts:
            publish(system, own(0), 5 * size.publications, 400, (min(nodes, 1), 1), counts)
        crowds.enter_context(coming(meter, "shared", system, Visitors(20_000, half, shared), scratch))
        with meter.phase("to many") as counts:
            publish(system, SHARED, size.publications, 25, (nodes, half), counts)
        with meter.phase("burst to nobody") as counts:
            burst(system, QUIET, size.burst_seconds, (0, 0), scratch, counts)
        with meter.phase("burst") as counts:
            burst(system, SHARED[0], size.burst_seconds, (nodes, half), scratch, counts)
        crowds.enter_context(coming(meter, "plain", system, Visitors(10_000, size.fitted, none), scratch))
        crowds.enter_context(coming(meter, "own", system, Visitors(30_000, half, own), scratch))
        with meter.phase("pings"):
            time.sleep(PINGS_WATCHED * PING_SECONDS)
        go(meter, crowds)
    return meter.phases


def warm_up(meter: Meter, system: System, crowds: ExitStack, scratch: Path) -> None:
    """Let a few come and stay, and publish a little. What has come and gone leaves memory that the next ones take."""
    few = Visitors(0, WARM_UP, own)
    crowds.enter_context(come(system, few, scratch, {}))
    publish(system, [CHANNEL, *SHARED], 20, 100, (0, 0), {})
    time.sleep(0.5)
    meter.connected = WARM_UP
    meter.channels = WARM_UP * (few.each + 1)


def coming(meter: Meter, name: str, system: System, visitors: Visitors, scratch: Path) -> ExitStack:
    """Let connections come, measured as a phase; until the stack is left."""
    stack = ExitStack()
    with meter.phase(name, [Resource.REDIS_MEMORY]) as counts:
        stack.enter_context(come(system, visitors, scratch, counts))
        meter.connected += visitors.count
        meter.channels += visitors.count + counts[Unit.OPEN]
    return stack


def go(meter: Meter, crowds: ExitStack, connected: float = 0.0, channels: float = 0.0) -> None:
    """Let all of these leave, measured as a phase; so many connections and channels stay."""
    with meter.phase("leave") as counts:
        counts[Unit.LEAVE] = meter.connected - connected
        meter.connected, meter.channels = connected, channels
        crowds.close()
        meter.settle()


def come_back(meter: Meter, name: str, system: System, back: Visitors, missed: int, scratch: Path) -> ExitStack:
    """Come back, measured as a phase, get what was missed; until the stack is left."""
    stack = ExitStack()
    with meter.phase(name) as counts:
        crowd = stack.enter_context(come(system, back, scratch, counts))
        meter.connected += back.count
        meter.channels += back.count
        counts[Unit.MISSED] = back.count * 2 * missed
    check_missed(crowd)
    return stack


def refusing(scratch: Path, size: Size) -> list[Observation]:
    """Turn away all that come, for some seconds, by a gateway that takes nobody."""
    server = with_flags("--connections-limit", "1")(scratch)
    with running(server, scratch) as process:
        system = System((process,))
        meter = Meter(system, PING_SECONDS)
        knock(process, 0.5, scratch)
        with meter.phase("refusing") as counts:
            counts[Unit.REFUSE] = knock(process, REFUSE_SECONDS, scratch)
    return meter.phases


def knock(process: Running, seconds: float, scratch: Path) -> float:
    """Come again and again; how many were refused."""
    command = [native("wsload"), "--port", str(process.server.port), "--path", process.server.subscribe.path]
    command += ["--connections", "50", "--retry", "--timeout", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    received = parse_received(done.stdout)
    if not received.refused:
        raise CrowdFailed(f"nobody was refused: {received}")
    return float(received.refused)


def mixed(scratch: Path, size: Size) -> list[Observation]:
    """To be predicted: a crowd that has come is published to, over two nodes and one Redis; each a phase."""
    nodes = 2
    groups = [f"bench:group-{FIRST // GROUP + number}" for number in range(size.mixed // GROUP)]
    with started(scratch, nodes) as system, ExitStack() as crowds:
        meter = Meter(system, PING_SECONDS)
        warm_up(meter, system, crowds, scratch)
        visitors = Visitors(FIRST, size.mixed, in_two)
        with coming(meter, "come", system, visitors, scratch), meter.phase("mixed") as counts:
            half = size.mixed_seconds // 2
            publish(system, groups, 40 * half, 40, (nodes, GROUP), counts)
            publish(system, [CHANNEL], 8 * half, 8, (nodes, size.mixed), counts)
    return meter.phases


def returning(scratch: Path, size: Size, *, nodes: int, fitted: int = 0) -> list[Observation]:
    """All come, leave, and come back at once, twice: over Redis, or with the embedded broker for 0 nodes.

    Args:
        fitted: costs are fitted to it, and it is so many times the usual phase; 0 where it is to be predicted.
    """
    count = fitted * size.fitted or size.back
    numbers = range(FIRST, FIRST + count)
    with started(scratch, nodes) as system, ExitStack() as few:
        meter = Meter(system, PING_SECONDS)
        warm_up(meter, system, few, scratch)
        connected, channels = meter.connected, meter.channels
        crowds = coming(meter, "first", system, Visitors(FIRST, count, in_channel), scratch)
        go(meter, crowds, connected, channels)
        for name, missed in (("back", 1), ("back with ten", 10)) if fitted else (("back", 2),):
            held = leave_behind(system, numbers, CHANNEL)
            miss(system, CHANNEL, missed)
            back = Visitors(FIRST, count, in_channel, held)
            come_back(meter, name, system, back, missed, scratch).close()
            meter.connected, meter.channels = connected, channels
            meter.settle()
    return meter.phases


EMBEDDED, OVER_REDIS = "embedded", "redis"
FITTED: Mapping[str, Runs] = {
    EMBEDDED: {
        "one node": partial(fitted, nodes=0),
        "small reconnect": partial(returning, nodes=0, fitted=1),
        "larger reconnect": partial(returning, nodes=0, fitted=3),
        "refusing": refusing,
    },
    OVER_REDIS: {
        "one node": partial(fitted, nodes=1),
        "two nodes": partial(fitted, nodes=2),
        "small reconnect": partial(returning, nodes=1, fitted=1),
        "larger reconnect": partial(returning, nodes=1, fitted=3),
    },
}
PREDICTED: Mapping[str, Runs] = {
    OVER_REDIS: {"mixed": mixed, "reconnect": partial(returning, nodes=1)},
}
