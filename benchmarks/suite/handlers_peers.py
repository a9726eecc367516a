"""Handlers beside the peers': what one page says into a function of the application, and out to all pages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure
from benchmarks.peers.sending import SAID
from benchmarks.plan import Plan
from benchmarks.servers import peers
from benchmarks.servers.base import Server, ServerFailed, running
from benchmarks.servers.gateway import gateway
from benchmarks.suite.peers import LONGEST_REASON
from benchmarks.talking import TALKERS, UNDER_WAY, Conversation
from benchmarks.tools import Unavailable

LISTENERS = 100
QUIET_SECONDS = 4.0
WAIT_SECONDS = 120.0
FAILED = (Unavailable, ServerFailed, CrowdFailed, OSError)
APPLICATION = f"""
from messageflow import AsyncFlow, Flow

flow, awaiting = Flow(), AsyncFlow()

@flow.on("{SAID}")
def say(event):
    flow.broadcast("{SAID}", event.data)

@awaiting.on("{SAID}")
async def say_async(event):
    await awaiting.broadcast("{SAID}", event.data)
"""
METHOD = (
    f"{LISTENERS} WebSockets that listen (C) and {TALKERS} that talk, at one server process; what a talker says (128 "
    "bytes) reaches a function of the application, which sends it to all of them. Talkers say the next thing while "
    f"fewer than {UNDER_WAY} of all that was said have not come back to them. Events a second between the first and "
    "the last that listeners got, and CPU of the server an event. Ours: a plain function on a thread with `Flow`, and "
    "a coroutine function with `AsyncFlow`, in the gateway's process (`--hooks`), whose broadcast is numbered, stored "
    "and kept; "
    "Flask-SocketIO emits to a room, on threads (Werkzeug's server) and on gevent, Channels sends to a group of its "
    "layer in memory and python-socketio emits, both below uvicorn; none of these keeps anything."
)


class Sample(NamedTuple):
    """One run: events a second, µs of CPU an event, percent of the deliveries that were lost."""

    events: float
    cpu_us: float
    lost: float


def say_native(text: str) -> str:
    """What a page of ours says."""
    return json.dumps({"send": {"data": {"type": SAID, "payload": text}}})


def say_socket_io(text: str) -> str:
    """What one of Socket.IO says."""
    return f"42{json.dumps([SAID, text])}"


def ours(scratch: Path, flow: str) -> Server:
    """Our gateway with a handler."""
    server = gateway(scratch, ("--hooks", f"bench_talk:{flow}", "--commands-per-second", "0"))
    home = Path(server.environment["MESSAGEFLOW_DATA_DIR"])
    (home / "bench_talk.py").write_text(APPLICATION)
    path = {"PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    environment = {**server.environment, **path}
    return Server(server.name, server.command, server.port, server.subscribe, server.publish, environment)


PEERS: Mapping[str, tuple[Callable[[], Server], Callable[[str], str]]] = {
    "Flask-SocketIO, threads": (lambda: peers.flask_socketio("", "threading").server, say_socket_io),
    "Flask-SocketIO, gevent": (lambda: peers.flask_socketio("").server, say_socket_io),
    "Channels": (lambda: peers.channels("").server, str),
    "python-socketio": (peers.python_socketio, say_socket_io),
}


def run(plan: Plan) -> list[Figure]:
    """Measure; a peer that cannot be had, or does not come to its end, has a row that says so."""
    missing: dict[str, str] = {}

    def attempt(name: str) -> Sample | None:
        if name in missing:
            return None
        make, say = PEERS[name]
        try:
            return sample(plan, make(), say)
        except FAILED as error:
            missing[name] = " ".join(str(error).split())[:LONGEST_REASON]
            return None

    sides: dict[str, Callable[[], Sample | None]] = {
        "plain": lambda: sample(plan, ours(plan.scratch, "flow"), say_native),
        "coroutine": lambda: sample(plan, ours(plan.scratch, "awaiting"), say_native),
    }
    sides |= {name: partial(attempt, name) for name in PEERS}
    plain, coroutine, *others = (tuple(one for one in each if one is not None) for each in plan.alternate(**sides))
    return [
        *beside("plain function", plain, "ours, a coroutine function", coroutine, ""),
        *(
            figure
            for name, found in zip(PEERS, others, strict=True)
            for figure in beside("plain function", plain, name, () if name in missing else found, missing.get(name, ""))
        ),
    ]


def beside(what: str, own: tuple[Sample, ...], name: str, others: tuple[Sample, ...], missing: str) -> list[Figure]:
    """Ours beside one other."""

    def figure(measured: str, unit: str, value: Callable[[Sample], float]) -> Figure:
        what_exactly = f"event in, out to {LISTENERS}: {measured} ({what})"
        return Figure(what_exactly, unit, tuple(map(value, own)), name, tuple(map(value, others)), missing=missing)

    figures = [
        figure("events", "/s", lambda one: one.events),
        figure("server CPU an event", "µs", lambda one: one.cpu_us),
    ]
    if any(one.lost for one in (*own, *others)):
        figures.append(figure("deliveries lost", "%", lambda one: one.lost))
    return figures[:1] if missing else figures


def sample(plan: Plan, server: Server, say: Callable[[str], str]) -> Sample:
    """One fresh server.

    Raises:
        CrowdFailed: a listener was cut off, or got something twice.
    """
    with running(server, plan.scratch) as process:
        Conversation(server, say).hold(1.0)  # warm
        with crowd(server, LISTENERS, plan.scratch, quiet=QUIET_SECONDS) as listeners:
            used, talk = process.cpu_seconds(), Conversation(server, say)
            talk.hold(plan.of(short=5.0, full=15.0))
            received = listeners.wait(WAIT_SECONDS)
            cpu = process.cpu_seconds() - used
    if received.most > talk.said:
        raise CrowdFailed(f"{talk.said} were said, but {received}")
    lost = (1 - received.publications / (talk.said * LISTENERS)) * 100
    return Sample(received.per_second / LISTENERS, cpu / talk.said * 1e6, lost)
