"""Handlers: what pages say into Python functions of the application, in the gateway's process, and what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.pages import PagesFailed
from benchmarks.plan import Plan
from benchmarks.servers.base import Running, Server, free_port, running
from benchmarks.servers.gateway import gateway, token

CLIENTS = 100
IN_FLIGHT = 20  # events that a client sends before it waits for the last
WARM_UP = 2_000
ATTEMPTS = 200
KEYED = "keyed"
CALLS = 500  # of one client, one after the other
APPLICATION = """
from messageflow import Flow

flow, taken = Flow(), []

@flow.on("event")
def take(event):
    taken.append(event.data["n"])

@flow.on("event_async")
async def take_async(event):
    taken.append(event.data["n"])

@flow.rpc("call")
def call(event):
    return event.data["n"]

@flow.rpc("taken")
async def count(event):
    return len(taken)
"""
METHOD = (
    f"{CLIENTS} connections at one worker with `--hooks`; each sends {IN_FLIGHT} events of 100 bytes, each in a frame "
    "of its own, and a call whose answer says that all were handled, again and again. Events a second over all "
    "connections, from the first frame to the last answer, and CPU of the gateway an event, handler included: for a "
    "plain function on a thread, a coroutine function on the loop, and plain functions whose answers are waited for. "
    "With keys each event has one of its own and a receipt, as `flow.emit` of the browser client sends it. "
    "By webhook the same functions stand in an ASGI application below uvicorn, a process of its own; there the round "
    "trip of one client that calls, a call at a time, from its frame to its answer."
)
WEBHOOK = """
import sys, uvicorn
from bench_handlers import flow
uvicorn.run(flow.webhook.asgi, port=int(sys.argv[1]), log_level="error", lifespan="off", access_log=False)
"""
SECRET = "a-hooks-secret-of-benchmarks-0123456789"


class Sample(NamedTuple):
    """Events a second, and microseconds of server CPU an event."""

    per_second: float
    cpu: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    events = plan.of(short=20_000, full=100_000)
    plain, keyed, coroutine, calls = plan.alternate(
        plain=lambda: sample(plan, "event", events),
        keyed=lambda: sample(plan, KEYED, events),
        coroutine=lambda: sample(plan, "event_async", events),
        calls=lambda: sample(plan, "call", events),
    )
    elsewhere, keyed_elsewhere = plan.alternate(
        webhook=lambda: sample_webhook(plan, "event", events // 5),
        webhook_keyed=lambda: sample_webhook(plan, KEYED, events // 5),
    )
    target = (at_least(5_000),)
    return [
        Figure("events into plain handlers", "/s", tuple(one.per_second for one in plain), targets=target),
        Figure("events into plain handlers, CPU each", "µs", tuple(one.cpu for one in plain)),
        Figure("events with keys and receipts into plain handlers", "/s", tuple(one.per_second for one in keyed)),
        Figure("events with keys and receipts, CPU each", "µs", tuple(one.cpu for one in keyed)),
        Figure("events into async handlers", "/s", tuple(one.per_second for one in coroutine), targets=target),
        Figure("events into async handlers, CPU each", "µs", tuple(one.cpu for one in coroutine)),
        Figure("calls answered by plain handlers", "/s", tuple(one.per_second for one in calls)),
        Figure("calls answered by plain handlers, CPU each", "µs", tuple(one.cpu for one in calls)),
        Figure("events by webhook", "/s", tuple(one.per_second for one, _ in elsewhere), targets=(at_least(1_500),)),
        Figure("events by webhook, CPU of the gateway each", "µs", tuple(one.cpu for one, _ in elsewhere)),
        Figure("events with keys and receipts by webhook", "/s", tuple(one.per_second for one, _ in keyed_elsewhere)),
        Figure("the same, CPU of the gateway each", "µs", tuple(one.cpu for one, _ in keyed_elsewhere)),
        Figure("a call by webhook, p50", "ms", tuple(p50 for _, p50 in elsewhere), targets=(at_most(3),)),
    ]


def sample(plan: Plan, kind: str, events: int) -> Sample:
    """Send so many events of a kind, after some to warm up.

    Raises:
        PagesFailed: not all of them were handled.
    """
    server = serving_handlers(plan.scratch, "--hooks", "bench_handlers:flow")
    with running(server, plan.scratch) as process:
        return asyncio.run(measure(server.port, process, kind, events))[0]


def sample_webhook(plan: Plan, kind: str, events: int) -> tuple[Sample, float]:
    """Send so many events to an application elsewhere; return the milliseconds of a call, too.

    Raises:
        PagesFailed: not all of them were handled.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/messageflow/hooks"
    server = serving_handlers(plan.scratch, "--hooks-url", url, "--hooks-secret", SECRET)
    environment = {**server.environment, "MESSAGEFLOW_HOOKS_SECRET": SECRET}
    command = (sys.executable, "-c", WEBHOOK, str(port))
    application = Server("application", command, port, server.subscribe, server.publish, environment)
    with running(application, plan.scratch), running(server, plan.scratch) as process:
        return asyncio.run(measure(server.port, process, kind, events))


async def measure(port: int, process: Running, kind: str, events: int) -> tuple[Sample, float]:
    """Return what so many events cost, and the milliseconds of a call."""
    talkers = [Talker(port, number) for number in range(CLIENTS)]
    await asyncio.gather(*(talker.connect() for talker in talkers))
    await say(talkers, kind, WARM_UP)
    before, used, started = await talkers[0].count(), process.cpu_seconds(), time.monotonic()
    await say(talkers, kind, events)
    seconds, cpu = time.monotonic() - started, process.cpu_seconds() - used
    handled = await talkers[0].count() - before
    if kind != "call" and handled != events:
        raise PagesFailed(f"{handled} of {events} events were handled")
    trips = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await talkers[0].count()
        trips.append(time.perf_counter() - began)
    for talker in talkers:
        talker.close()
    return Sample(events / seconds, cpu / events * 1e6), median(trips) * 1e3


def serving_handlers(scratch: Path, *hooks: str) -> Server:
    """A gateway that asks handlers, without a limit on commands."""
    server = gateway(scratch, (*hooks, "--commands-per-second", "0"))
    home = Path(server.environment["MESSAGEFLOW_DATA_DIR"])
    (home / "bench_handlers.py").write_text(APPLICATION)
    path = {"PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    environment = {**server.environment, **path}
    return Server(server.name, server.command, server.port, server.subscribe, server.publish, environment)


async def say(talkers: list[Talker], kind: str, events: int) -> None:
    """Have all of them send their part of the events, and return once all were handled."""
    each = events // len(talkers)
    await asyncio.gather(*(talker.say(kind, each) for talker in talkers))


class Talker:
    """A client that sends frames which were made before, and waits for the answer to the last.

    Args:
        port: of the gateway.
        number: of its user.
    """

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number
        self._keys = count(1)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Open the WebSocket and come in, once it is known who is asked."""
        for _ in range(ATTEMPTS):
            try:
                await self._connect()
            except asyncio.IncompleteReadError:
                await asyncio.sleep(0.05)
            else:
                return
        raise PagesFailed("the application is not asked")

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(
            b"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % self._port
        )
        await self._reader.readuntil(b"\r\n\r\n")
        self._writer.write(frame({"id": 1, "connect": {"token": token(self._number)}}))
        await self._reader.readuntil(b'"connect"')

    async def say(self, kind: str, events: int) -> None:
        """Send events in groups, each once the one before was handled."""
        data = {"n": 1, "text": "x" * 60}
        last = frame({"id": 9, "rpc": {"method": "taken"}})
        if kind == "call":
            group = frame({"id": 7, "rpc": {"method": "call", "data": data}}) * IN_FLIGHT
        else:
            group = frame({"send": {"data": {"type": kind, "payload": data}}}) * IN_FLIGHT
        for _ in range(events // IN_FLIGHT):
            self._writer.write((self._make_keyed(data) if kind == KEYED else group) + last)
            await self._reader.readuntil(b'"id":9,')
            await self._reader.readuntil(b"}}")

    def _make_keyed(self, data: object) -> bytes:
        """Return a group of events of which each has a key of its own, and an id, so that a receipt is sent."""
        keys = [f"{self._number}-{next(self._keys)}" for _ in range(IN_FLIGHT)]
        return b"".join(
            frame({"id": 7, "send": {"data": {"type": "event", "payload": data}, "key": key}}) for key in keys
        )

    async def count(self) -> int:
        """Return how many events were handled by now."""
        self._writer.write(frame({"id": 8, "rpc": {"method": "taken"}}))
        await self._reader.readuntil(b'{"id":8,"rpc":{"data":')
        return int((await self._reader.readuntil(b"}"))[:-1])

    def close(self) -> None:
        """Go away."""
        self._writer.close()


def frame(command: dict[str, object]) -> bytes:
    """Return a command as a masked frame; the mask of zeros leaves the text as it is."""
    text = json.dumps(command).encode()
    length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 126, *len(text).to_bytes(2, "big")])
    return b"\x81" + length + bytes(4) + text
