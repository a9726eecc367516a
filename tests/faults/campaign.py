"""One run: a gateway, readers and producers, links that break, and a history that is judged at the end.

    warm-up → faults of the plan → heal → a quiet time → all reconnect once more → a last restart → verdict

Owns the order of things and the directory they happen in. Everything random comes from the seed; what the scheduler of
the machine adds to that is not ours to repeat.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from messageflow import Flow
from messageflow.errors import PublishError
from tests.faults.checker import check
from tests.faults.clients import Client, until
from tests.faults.gateway import Gateway
from tests.faults.history import (
    Event,
    Healed,
    Memory,
    Misbehaved,
    Position,
    Recorder,
    Top,
    now,
    read_history,
    write_history,
)
from tests.faults.machine import Clock, SmallDisk, Strace
from tests.faults.nemesis import CROWD, POINTS, STORE_POINTS, SYNC_POINTS, Nemesis
from tests.faults.producers import Producers
from tests.faults.proxy import Proxy
from tests.faults.schedule import KINDS, Planned, plan
from tests.faults.verdicts import Expectations, Verdict
from tests.support import API_KEY

WINDOW = 16 * 1024
"""Bytes the sockets of a reader's link hold, so that a slow reader is felt by the gateway and not by the kernel."""

WARM_UP = 2.0
AFTERWARDS = 1.0
"""Seconds the producers go on after everything is healed."""

SETTLE_SECONDS = 30.0
"""Seconds within which everybody is where the streams end, once nothing is published any more."""

MEMORY_BUDGET = 160 * 1024 * 1024
"""Bytes a process of the gateway may hold: 60 MiB for itself, 32 for streams, the rest for buffers and what is read."""

PUBLISH_TIMEOUT = 2.0
USERS = [f"user-{number}" for number in range(6)]
CHANNELS = [f"open:{name}" for name in "abc"]
ASKED = 2
"""Of these a reader asks for so many at most, beside the two it has anyway."""

CONFIG = """\
[[channel.namespaces]]
name = "open"
allow_subscribe_for_client = true
"""
FLAGS = ("--ping-interval", "3s", "--pong-timeout", "2s", "--buffer-high-water", "16KiB", "--stream-memory", "32MiB")


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is.

    Args:
        seed: decides the plan, the load and the choices of everybody in it.
        seconds: how long faults go on.
        kinds: which faults, by their names in `schedule.KINDS`.
        workers: of the gateway.
        broker: `embedded` or `memory`.
        ack: when a push is answered: `os` or `disk`; the memory broker has no choice.
        clients: how many readers.
        producers: how many.
        rate: publications a second of each producer, about.
    """

    seed: int
    seconds: float
    kinds: tuple[str, ...]
    workers: int = 1
    broker: str = "embedded"
    ack: str = "os"
    clients: int = 10
    producers: int = 3
    rate: float = 40.0

    @property
    def durable(self) -> bool:
        return self.broker != "memory"

    def flags(self) -> list[str]:
        """Return the flags of `messageflow serve` that differ from its defaults."""
        flags = list(FLAGS)
        if self.workers > 1:
            flags += ["--workers", str(self.workers)]
        if not self.durable:
            return [*flags, "--broker", self.broker]
        return [*flags, "--ack", self.ack] if self.ack != "os" else flags


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `kept` is where its history and log are, when they were worth keeping."""

    options: Options
    verdict: Verdict
    plan: list[Planned]
    complaints: Counter[str]
    kept: Path | None


def possible(options: Options) -> tuple[Options, dict[str, str]]:
    """Return the run with the faults that can be done here, and why the others cannot."""
    reasons = {
        "workers": "it takes more than one worker" if options.workers < 2 else "",
        "durable": "it takes a broker that keeps a file" if not options.durable else "",
        "synced": "it takes --ack disk, for else there is little to sync" if options.ack != "disk" else "",
        "tmpfs": "",
        "strace": "" if Strace.possible() else "it takes strace, and to be root",
        "clock": "" if Clock.possible() else "it takes gcc, to build the clock that can be moved",
    }
    if "disk_full" in options.kinds and not SmallDisk.possible():
        reasons["tmpfs"] = "it takes root and the right to mount a tmpfs"
    missing = {
        kind: reason for kind in options.kinds if (reason := "; ".join(sorted(_reasons(KINDS[kind].needs, reasons))))
    }
    kinds = tuple(kind for kind in options.kinds if kind not in missing)
    return replace(options, kinds=kinds), missing


def _reasons(needs: Collection[str], reasons: dict[str, str]) -> list[str]:
    return [reasons[need] for need in needs if reasons[need]]


def expectations(options: Options, planned: Sequence[Planned]) -> Expectations:
    """Return what a run with these faults must hold."""
    kinds = frozenset(fault.kind for fault in planned)
    # After a failed sync the gateway may not know what the disk has, and must begin new epochs: once for each reader.
    failed_syncs = sum(fault.kind == "fsync_error" for fault in planned)
    readers = options.clients + (CROWD if "storm" in kinds else 0)
    resumes = options.clients if kinds else 0
    return Expectations(
        kinds=kinds,
        minimum={
            "acknowledged": int(options.seconds * options.rate * options.producers / 20),
            "received": int(options.seconds * options.rate * options.producers / 10),
            "resumed": resumes,
            "faults": len(planned),
            "memory samples": 3,
        },
        memory_budget=MEMORY_BUDGET,
        epochs_kept=options.durable,
        bad_resets_allowed=failed_syncs * readers * (2 + ASKED),
    )


class Run:
    """One run in one directory."""

    def __init__(self, options: Options, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._chance = random.Random(options.seed)
        self._histories = directory / "histories"
        self._histories.mkdir()
        (directory / "gateway.toml").write_text(CONFIG)
        self.plan = plan(options.seed, options.kinds, options.seconds)
        self._recorder = Recorder(self._histories / "campaign.jsonl")
        self._disk: SmallDisk | None = None
        self._clock: Clock | None = None
        self.gateway = self._make_gateway()
        self._clients: list[Client] = []

    def _make_gateway(self) -> Gateway:
        data = self._directory / "data"
        data.mkdir()
        environment: dict[str, str] = {}
        if any(fault.kind == "clock_step" for fault in self.plan):
            self._clock = Clock(self._directory)
            self._clock.build()
            environment = self._clock.environment
        if any(fault.kind == "disk_full" for fault in self.plan):
            self._disk = SmallDisk(data)
            assert self._disk.mount(), "the tmpfs for the data directory cannot be mounted"
        arguments = ["--config", str(self._directory / "gateway.toml"), *self._options.flags()]
        return Gateway(arguments, data, environment)

    async def perform(self) -> list[Event]:
        """Do it, and return its history."""
        async with AsyncExitStack() as stack:
            stack.callback(self._recorder.close)
            if self._disk is not None:
                stack.callback(self._disk.unmount)
            stack.push_async_callback(self._kill_gateway)
            await self.gateway.start()
            links = [await self._link(stack, WINDOW) for _ in range(self._options.clients)]
            producer_links = [await self._link(stack, 0) for _ in range(self._options.producers)]
            self._clients = self._make_clients(links)
            readers = [asyncio.create_task(client.run()) for client in self._clients]
            stack.push_async_callback(_cancel, readers)
            producers = self._make_producers(producer_links)
            stack.callback(producers.kill)
            nemesis = self._make_nemesis(producers)
            watch = asyncio.create_task(self._watch(nemesis))
            stack.push_async_callback(_cancel, [watch])
            await self._act(nemesis, producers)
            await _cancel([*readers, watch])
            await self._end()
            if self._options.durable:
                await self.gateway.start()
                await self._top()
                await self._end()
        return read_history(sorted(self._histories.glob("*.jsonl")))

    async def _act(self, nemesis: Nemesis, producers: Producers) -> None:
        await until(lambda: all(client.whole for client in self._clients), SETTLE_SECONDS)
        producers.start()
        await asyncio.sleep(WARM_UP)
        await nemesis.run(self.plan)
        self._recorder.write(Healed(at=now(), process="campaign"))
        await asyncio.sleep(AFTERWARDS)
        await producers.end()
        await self._settled()
        for client in self._clients:
            client.proxy.cut()
        await self._settled()

    async def _end(self) -> None:
        if not await self.gateway.drain():
            self._misbehaved(f"did not end well: {self.gateway.exit_code}")

    async def _settled(self) -> None:
        """Wait until every reader is where its streams end, or time is over."""
        tops = await self._top()

        def settled() -> bool:
            return all(client.whole and _stands_at(client, tops) for client in self._clients)

        await until(settled, SETTLE_SECONDS)

    async def _top(self) -> dict[str, Position]:
        """Ask where the streams end, record it and return it."""
        try:
            tops = await asyncio.to_thread(self._tops)
        except PublishError as error:
            self._misbehaved(f"did not say where its streams end: {error}")
            return {}
        for channel, position in tops.items():
            self._recorder.write(Top(at=now(), process="campaign", channel=channel, position=position))
        return tops

    def _tops(self) -> dict[str, Position]:
        flow = Flow(self.gateway.url, api_key=API_KEY)
        tops = {}
        for channel in sorted({channel for client in self._clients for channel in client.channels}):
            history = flow.history(channel, limit=0)
            tops[channel] = Position(history.epoch, history.offset, history.tag)
        flow.close()
        return tops

    async def _link(self, stack: AsyncExitStack, window: int) -> Proxy:
        proxy = Proxy(self.gateway.port, window=window, chance=random.Random(self._chance.getrandbits(32)))
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        return proxy

    def _make_clients(self, links: Sequence[Proxy]) -> list[Client]:
        """The users one after the other, and then second tabs of the first ones."""
        clients = []
        for number, link in enumerate(links):
            user = USERS[number % len(USERS)]
            asked = self._chance.sample(CHANNELS, self._chance.randint(1, ASKED))
            chance = random.Random(self._chance.getrandbits(32))
            clients.append(Client(f"client-{number + 1}", user, asked, link, self._recorder, chance))
        return clients

    def _make_producers(self, links: list[Proxy]) -> Producers:
        return Producers(links, self._histories, USERS, CHANNELS, self._options.rate, PUBLISH_TIMEOUT, self._chance)

    def _make_nemesis(self, producers: Producers) -> Nemesis:
        points = list(POINTS)
        if self._options.durable:
            points += STORE_POINTS
        if self._options.durable and self._options.ack == "disk":
            points += SYNC_POINTS
        return Nemesis(
            self.gateway,
            self._clients,
            producers,
            self._recorder,
            self._directory,
            points,
            disk=self._disk,
            clock=self._clock,
        )

    async def _watch(self, nemesis: Nemesis) -> None:
        """Look at the gateway's memory, and whether it is there when nobody took it away."""
        while True:
            for pid, size in self.gateway.memory().items():
                self._recorder.write(Memory(at=now(), process="campaign", target=f"process {pid}", size=size))
            if not self.gateway.up and not nemesis.gateway_is_ours:
                self._misbehaved(f"died by itself with {self.gateway.exit_code}")
                await self.gateway.start()
            await asyncio.sleep(0.5)

    def _misbehaved(self, what: str) -> None:
        self._recorder.write(Misbehaved(at=now(), process="campaign", target="gateway", what=what))

    async def _kill_gateway(self) -> None:
        if self.gateway.up:
            await self.gateway.kill()


def _stands_at(client: Client, tops: dict[str, Position]) -> bool:
    at = client.session.positions
    return all(at[channel][:2] == top[:2] for channel in client.channels if (top := tops.get(channel)))


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run(options: Options, keep: Path | None = None, *, keep_good: bool = False) -> Outcome:
    """Do a run and judge it.

    Args:
        options: what to do; see `possible` for what can be done.
        keep: where the history and the gateway's log go when the verdict is bad; None keeps nothing.
        keep_good: keeps them when it is good, too.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        directory = Path(place)
        performing = Run(options, directory)
        events = asyncio.run(performing.perform())
        verdict = check(events, expectations(options, performing.plan))
        kept = None
        if keep is not None and (keep_good or not verdict.good):
            kept = _keep(keep, options, events, performing.gateway.lines)
    return Outcome(options, verdict, performing.plan, performing.gateway.complaints(), kept)


def _keep(where: Path, options: Options, events: Sequence[Event], lines: Sequence[str]) -> Path:
    kept = where / f"seed-{options.seed}-{int(time.time())}"
    with suppress(FileNotFoundError):
        shutil.rmtree(kept)
    kept.mkdir(parents=True)
    write_history(kept / "history.jsonl", events)
    (kept / "gateway.log").write_text("".join(lines))
    return kept
