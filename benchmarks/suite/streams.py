"""Streams over HTTP beside the WebSocket, and beside the event streams of others: a delivery, and memory when idle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.crowd import Crowd, CrowdFailed, crowd
from benchmarks.figures import Figure, Target, at_most, at_most_times_peer
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import PAYLOAD_BYTES, publish_at_rate
from benchmarks.servers.base import Running, Server, ServerFailed, running
from benchmarks.servers.gateway import gateway
from benchmarks.servers.streams import (
    centrifugo_event_source,
    emulated_events,
    emulated_lines,
    event_source,
    lines,
    nchan_event_source,
    sse_starlette,
)
from benchmarks.suite.memory import per_connection
from benchmarks.tools import Unavailable
from benchmarks.turns import Side, sample_each_in_turns

READERS, PUBLICATIONS, PER_SECOND = 1000, 20, 30.0  # of a turn
QUIET_SECONDS, QUIET_SHARE = 0.2, 0.02  # a server that uses less of a core for so long has delivered all it had
SILENT = ("--ping-interval", "1h")  # of the turns, where a reader's pong would be a request of its own
DELIVERY, MEMORY = (at_most_times_peer(1.3),), (at_most(6000),)
WEBSOCKET, EVENT_SOURCE = "WebSocket", "uni_sse"
METHOD = (
    f"{READERS:,} readers of one channel over each stream of ours, each of a gateway of its own, beside as many "
    f"WebSockets and readers of other servers' streams. All servers run at once and take small turns: {PUBLICATIONS} "
    f"publishes of {PAYLOAD_BYTES} bytes over HTTP, {PER_SECOND:.0f} a second, so that no two are written as one; CPU "
    "of all processes of that server until it has delivered them, divided by deliveries. A ratio is the median of the "
    "turns' ratios. Memory as in `memory`, each server fresh. Ours checks a token, numbers and keeps what is published "
    "and ends each event of uni_sse with an id that resumes, as Nchan does; Centrifugo checks and keeps too; "
    "sse-starlette has a queue for each reader. In the turns ours does not ping, since a pong would be a request."
)
FAILED = (Unavailable, ServerFailed, CrowdFailed)
STREAMS: Mapping[str, Callable[..., Server]] = {
    EVENT_SOURCE: event_source,
    "sse": emulated_events,
    "http_stream": emulated_lines,
    "uni_http_stream": lines,
}
OURS: Mapping[str, Callable[..., Server]] = {WEBSOCKET: gateway, **STREAMS}
PEERS: Mapping[str, MakeServer] = {
    "Nchan, EventSource": nchan_event_source,
    "Centrifugo, uni_sse": centrifugo_event_source,
    "sse-starlette": sse_starlette,
}
Samples = Mapping[str, tuple[float, ...]]


def run(plan: Plan) -> list[Figure]:
    """Measure; a peer that cannot be had has a row that says so."""
    missing: dict[str, str] = {}
    silent = {name: partial(make, flags=SILENT) for name, make in OURS.items()}
    deliveries = in_turns(plan, {**silent, **PEERS}, missing)
    connections = plan.of(short=2_000, full=10_000)

    sides = {name: make for name, make in {**OURS, **PEERS}.items() if name in deliveries}
    measured = plan.alternate(
        **{name: partial(per_connection, plan, make, connections) for name, make in sides.items()}
    )
    memory = dict(zip(deliveries, measured, strict=True))
    return [
        *(_beside(f"CPU per delivery over {name}", "µs", deliveries, name, WEBSOCKET, DELIVERY) for name in STREAMS),
        *(_beside(f"RSS per idle connection of {name}", "B", memory, name, WEBSOCKET, MEMORY) for name in STREAMS),
        *(figure for name in PEERS for figure in _beside_peer(name, deliveries, memory, missing.get(name, ""))),
    ]


def in_turns(plan: Plan, makers: Mapping[str, MakeServer], missing: dict[str, str]) -> Samples:
    """Microseconds a delivery of each server that can be had; why another cannot goes into `missing`."""
    sides: dict[str, Side] = {}
    crowds: dict[str, Crowd] = {}
    turns = plan.of(short=15, full=60)
    with ExitStack() as stack:
        for name, make in makers.items():
            try:
                server = make(plan.scratch)
                process = stack.enter_context(running(server, plan.scratch))
                crowds[name] = stack.enter_context(crowd(server, READERS, plan.scratch))
            except FAILED as error:
                if name not in PEERS:
                    raise
                missing[name] = " ".join(str(error).split())
            else:
                sides[name] = Side(server, process)
        samples = sample_each_in_turns(list(sides.values()), turns, charge)
        for name, readers in crowds.items():
            received = readers.stop()
            if received.fewest != (turns + 1) * PUBLICATIONS:
                raise CrowdFailed(f"not everything came over {name}: {received}")
    return dict(zip(sides, samples, strict=True))


def charge(side: Side) -> float:
    """Microseconds of a turn's delivery."""
    used = side.process.cpu_seconds()
    publish_at_rate([side.server], PUBLICATIONS, PER_SECOND)
    wait_until_quiet(side.process)
    return (side.process.cpu_seconds() - used) / (READERS * PUBLICATIONS) * 1e6


def wait_until_quiet(process: Running) -> None:
    """Wait until a server has nothing more to do."""
    before = -1.0
    while (used := process.cpu_seconds()) - before > QUIET_SECONDS * QUIET_SHARE:
        before = used
        time.sleep(QUIET_SECONDS)


def _beside(what: str, unit: str, of: Samples, name: str, peer: str, targets: tuple[Target, ...] = ()) -> Figure:
    return Figure(what, unit, of[name], peer, of[peer], targets)


def _beside_peer(name: str, deliveries: Samples, memory: Samples, reason: str) -> list[Figure]:
    what = f"CPU per delivery over {EVENT_SOURCE}"
    if reason:
        return [Figure(what, "µs", deliveries[EVENT_SOURCE], name, missing=reason)]
    return [
        _beside(what, "µs", deliveries, EVENT_SOURCE, name),
        _beside(f"RSS per idle connection of {EVENT_SOURCE}", "B", memory, EVENT_SOURCE, name),
    ]
