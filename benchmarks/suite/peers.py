"""Ours beside every peer, by the same load: fan-out one at a time, a burst, and memory a connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure
from benchmarks.plan import MakeServer, Plan
from benchmarks.publishing import PAYLOAD_BYTES, PublishFailed, publish_burst, publish_in_sequence
from benchmarks.servers import peers
from benchmarks.servers.base import Server, ServerFailed, running
from benchmarks.servers.centrifugo import centrifugo
from benchmarks.servers.nchan import nchan
from benchmarks.servers.node_peers import socket_io, socket_io_on_uwebsockets, ws
from benchmarks.tools import Unavailable

SUBSCRIBERS = 1000
PUBLISHERS = 32
WARM_UP = 100
QUIET_SECONDS = 4.0
WAIT_SECONDS = 300.0
LONGEST_REASON = 200  # characters of a row
FAILED = (Unavailable, ServerFailed, CrowdFailed, PublishFailed)
METHOD = (
    f"{SUBSCRIBERS} WebSocket subscribers of one channel, group or room at one server process, each server by itself "
    f"and without Redis; texts of {PAYLOAD_BYTES} bytes come over HTTP. Memory: resident bytes of all its processes "
    f"with the subscribers, less before, once {WARM_UP} have come and gone. One at a time: one client publishes, each "
    "as soon as the one before is answered; CPU by deliveries. At once: "
    f"{PUBLISHERS} HTTP connections publish again and again (wrk); deliveries between the first and the last, by the "
    "time between. Ours and Centrifugo check a token, number what is published and keep it; the others do none of "
    "that. What had not arrived "
    f"{QUIET_SECONDS:.0f} s after the last that did is lost."
)


class Sample(NamedTuple):
    """One server: bytes a connection, µs of CPU a delivery one at a time and at once, M deliveries/s, percent lost."""

    memory: float
    single_us: float
    burst_us: float
    millions: float
    lost: float


def channels(_: Path) -> Server:
    """Django Channels with its layer in memory."""
    return peers.channels("").server


def flask_socketio(_: Path) -> Server:
    """Flask-SocketIO without a queue."""
    return peers.flask_socketio("").server


PEERS: Mapping[str, MakeServer] = {
    "Nchan": nchan,
    "Centrifugo": centrifugo,
    "ws": ws,
    "Socket.IO": socket_io,
    "Socket.IO on uWebSockets.js": socket_io_on_uwebsockets,
    "Flask-SocketIO": flask_socketio,
    "Channels": channels,
}


def run(plan: Plan) -> list[Figure]:
    """Measure; a peer that cannot be had, or does not come to its end, has a row that says so."""
    missing: dict[str, str] = {}

    def attempt(name: str, make: MakeServer) -> Sample | None:
        if name in missing:
            return None
        try:
            return sample(plan, make)
        except FAILED as error:
            missing[name] = " ".join(str(error).split())[:LONGEST_REASON]
            return None

    sides: dict[str, Callable[[], Sample | None]] = {"ours": partial(sample, plan, plan.ours)}
    sides |= {name: partial(attempt, name, make) for name, make in PEERS.items()}
    results = dict(zip(sides, plan.alternate(**sides), strict=True))
    samples = {name: tuple(one for one in each if one is not None) for name, each in results.items()}
    return [
        figure
        for name in PEERS
        for figure in beside(samples["ours"], name, () if name in missing else samples[name], missing.get(name, ""))
    ]


def beside(own: tuple[Sample, ...], name: str, others: tuple[Sample, ...], missing: str = "") -> list[Figure]:
    """Ours beside one peer."""

    def figure(what: str, unit: str, value: Callable[[Sample], float]) -> Figure:
        return Figure(what, unit, tuple(map(value, own)), name, tuple(map(value, others)), missing=missing)

    figures = [
        figure("CPU per delivery, one publish at a time", "µs", lambda one: one.single_us),
        figure(f"deliveries, {PUBLISHERS} publishers at once", "M/s", lambda one: one.millions),
        figure(f"CPU per delivery, {PUBLISHERS} publishers at once", "µs", lambda one: one.burst_us),
        figure("RSS per connection", "B", lambda one: one.memory),
    ]
    if any(one.lost for one in others):
        figures.append(figure("lost, one at a time or of a burst", "%", lambda one: one.lost))
    return figures[:1] if missing else figures


def sample(plan: Plan, make: MakeServer) -> Sample:
    """One fresh server, loaded in three ways.

    Raises:
        CrowdFailed: a subscriber was cut off, or got something twice.
    """
    server = make(plan.scratch)
    texts = plan.of(short=100, full=500)
    with running(server, plan.scratch) as process:
        with crowd(server, WARM_UP, plan.scratch):
            pass
        time.sleep(0.5)
        before = process.rss_bytes()
        with crowd(server, SUBSCRIBERS, plan.scratch, expect=SUBSCRIBERS * texts, quiet=QUIET_SECONDS) as subscribers:
            memory = (process.rss_bytes() - before) / SUBSCRIBERS
            used = process.cpu_seconds()
            publish_in_sequence(server, texts)
            received = subscribers.wait(WAIT_SECONDS)
            single = (process.cpu_seconds() - used) / received.publications * 1e6
            dropped = 1 - received.publications / (SUBSCRIBERS * texts)
    with (
        running(server, plan.scratch) as process,
        crowd(server, SUBSCRIBERS, plan.scratch, quiet=QUIET_SECONDS) as subscribers,
    ):
        used = process.cpu_seconds()
        burst = publish_burst(server, plan.of(short=3, full=8), PUBLISHERS, plan.scratch)
        received = subscribers.wait(WAIT_SECONDS)
        cpu = process.cpu_seconds() - used
    if received.most > burst.requests + PUBLISHERS:
        raise CrowdFailed(f"{burst.requests} publications were accepted, but {received}")
    # wrk stops without waiting for its last answers, so only what is missing beyond those is known to be lost
    sent = SUBSCRIBERS * burst.requests
    lost = max(0.0, 1 - received.publications / sent) * 100 if sent else 0.0
    lost = max(lost, dropped * 100)
    return Sample(memory, single, cpu / received.publications * 1e6, received.per_second / 1e6, lost)
