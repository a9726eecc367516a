"""One run: a gateway, readers and producers, links that break, and a history that is judged at the end.

    warm-up → faults of the plan → heal → a quiet time → all reconnect once more → a last restart → verdict

Owns the order of things and the directory they happen in. Everything random comes from the seed; what the scheduler of
the machine adds to that is not ours to repeat.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from messageflow import Flow
from messageflow.errors import PublishError
from tests.faults.application import SECRET, SECRET_VARIABLE, Application
from tests.faults.checker import check
from tests.faults.clients import Client, until
from tests.faults.cluster import ClusterEngine
from tests.faults.cluster_faults import ClusterFaults
from tests.faults.engine import Engine
from tests.faults.flood import NAMESPACE, Floods
from tests.faults.gateway import Gateway, any_away
from tests.faults.handled import HISTORIES
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
)
from tests.faults.machine import Clock, SmallDisk
from tests.faults.nemesis import POINTS, STORE_POINTS, SYNC_POINTS, Fault, Nemesis
from tests.faults.options import ASKED, Options, expectations
from tests.faults.outcome import Outcome, keep_run
from tests.faults.presence import expect_presence
from tests.faults.producers import Producers, Way
from tests.faults.proxy import Proxy
from tests.faults.redis_faults import RedisFaults
from tests.faults.rollback import Rollback
from tests.faults.schedule import plan
from tests.faults.slow_readers import SlowReaders
from tests.faults.tellers import TELLERS, Tellers
from tests.faults.visitors import NAMESPACES, Visitors
from tests.faults.worker_faults import WorkerFaults
from tests.ports import free_port
from tests.support import API_KEY

WINDOW = 16 * 1024
"""Bytes the sockets of a reader's link hold, so that a slow reader is felt by the gateway and not by the kernel."""

WARM_UP = 2.0
AFTERWARDS = 1.0
"""Seconds the producers go on after everything is healed."""

SETTLE_SECONDS = 30.0
"""Seconds within which everybody is where the streams end, once nothing is published any more."""

LOG_LINES = 50
"""Lines a second that a gateway may log on average. One that writes more goes round in circles."""

PUBLISH_TIMEOUT = 2.0
USERS = [f"user-{number}" for number in range(6)]
CHANNELS = [f"open:{name}" for name in "abc"]
CONFIG = """\
[[channel.namespaces]]
name = "open"
allow_subscribe_for_client = true
presence = true
"""


class Run:
    """One run in one directory, of the gateway of this checkout or of another `code`."""

    def __init__(self, options: Options, directory: Path, code: Path | None = None) -> None:
        self._options = options
        self._code = code
        self._directory = directory
        self._chance = random.Random(options.seed)
        self._histories = directory / "histories"
        self._histories.mkdir()
        (directory / "gateway.toml").write_text(CONFIG + NAMESPACES + NAMESPACE)
        self.plan = plan(options.seed, options.kinds, options.seconds)
        self._recorder = Recorder(self._histories / "campaign.jsonl")
        self._disk: SmallDisk | None = None
        self._clock: Clock | None = None
        self._hooks_chance = random.Random(f"hooks {options.seed}")
        self._application = self._make_application() if options.hooks == "webhook" else None
        self._tellers = Tellers((), self._recorder, self._hooks_chance)
        self._engine = self._make_engine() if options.with_redis else None
        self.gateways: list[Gateway] = []
        self._clients: list[Client] = []

    @property
    def _rolled_back(self) -> bool:
        return any(fault.kind == "redis_rolled_back" for fault in self.plan)

    def _make_engine(self) -> Engine | ClusterEngine:
        if self._options.with_cluster:
            return ClusterEngine(
                self._directory, self._options.fsync, self._options.nodes, self._options.direct, self._chance
            )
        replicated = any(fault.kind == "redis_failover_lost_tail" for fault in self.plan)
        options = self._options
        return Engine(
            self._directory,
            options.fsync,
            options.nodes,
            direct=options.direct,
            replicated=replicated,
            chance=self._chance,
        )

    def _make_application(self) -> Application:
        return Application(self._histories, free_port(), self._hooks_chance, lambda: any_away(self.gateways))

    def _make_gateways(self) -> list[Gateway]:
        environment = {HISTORIES: str(self._histories), SECRET_VARIABLE: SECRET}
        if any(fault.kind == "clock_step" for fault in self.plan):
            self._clock = Clock(self._directory)
            self._clock.build()
            environment |= self._clock.environment
        if self._code is not None:
            environment = environment | {"PYTHONPATH": str(self._code)}
        arguments = ["--config", str(self._directory / "gateway.toml"), *self._options.flags()]
        if self._application is not None:
            arguments += ["--hooks-url", self._application.url]
        own_ones = [["--broker", url] for url in self._engine.urls] if self._engine is not None else [[]]
        gateways = []
        for number, own in enumerate(own_ones, 1):
            data = self._directory / f"data-{number}"
            data.mkdir()
            gateways.append(Gateway([*arguments, *own], data, environment))
        if any(fault.kind == "disk_full" for fault in self.plan):
            self._disk = SmallDisk(gateways[0].data_dir)
            assert self._disk.mount(), "the tmpfs for the data directory cannot be mounted"
        return gateways

    async def perform(self) -> list[Event]:
        """Do it, and return its history."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            stack.callback(self._recorder.close)
            if self._engine is not None:
                stack.push_async_callback(self._engine.stop)
                await self._engine.start()
            if self._application is not None:
                stack.push_async_callback(self._application.close)
                await self._application.open()
            self.gateways = self._make_gateways()
            if self._disk is not None:
                stack.callback(self._disk.unmount)
            stack.push_async_callback(self._kill_gateways)
            for gateway in self.gateways:
                await gateway.start()
            links = [await self._link(stack, WINDOW) for _ in range(self._options.clients)]
            ways = await self._producer_ways(stack)
            telling = await self._come_to_tell(stack)
            self._clients = self._make_clients(links)
            readers = [asyncio.create_task(client.run()) for client in self._clients]
            stack.push_async_callback(_cancel, readers)
            producers = self._make_producers(ways)
            stack.callback(producers.kill)
            nemesis = self._make_nemesis(producers, await self._link(stack, 0), telling)
            watch = asyncio.create_task(self._watch())
            stack.push_async_callback(_cancel, [watch])
            await self._act(nemesis, producers)
            await _cancel([*readers, watch])
            await self._end()
            if self._options.durable:
                await self._start_again()
            self._hold_logs_against(time.monotonic() - began)
        return read_history(sorted(self._histories.glob("*.jsonl")))

    async def _start_again(self) -> None:
        """Everything is started anew, and says where its streams end."""
        if isinstance(self._engine, Engine) and not self._rolled_back:  # elsewhere it would be told as a loss, rightly
            await self._engine.restart(0)
        for gateway in self.gateways:
            await gateway.start()
        await self._top()
        await self._end()

    def _hold_logs_against(self, seconds: float) -> None:
        for gateway in self.gateways:
            if (number := len(gateway.lines)) > LOG_LINES * seconds:
                self._misbehaved(f"logged {number:,} lines in {seconds:.0f} s")

    async def _act(self, nemesis: Nemesis, producers: Producers) -> None:
        await until(lambda: all(client.whole for client in self._clients), SETTLE_SECONDS)
        producers.start()
        await asyncio.sleep(WARM_UP)
        await nemesis.run(self.plan)
        self._recorder.write(Healed(at=now(), process="campaign"))
        await asyncio.sleep(AFTERWARDS)
        await producers.end()
        await self._tellers.finish(SETTLE_SECONDS)
        await self._settled()
        for client in self._clients:
            client.proxy.cut()
        await self._settled()
        await expect_presence(lambda: self._chance.choice(self.gateways).url, self._clients, self._misbehaved)

    async def _end(self) -> None:
        for gateway in self.gateways:
            if not await gateway.drain():
                self._misbehaved(f"did not end well: {gateway.exit_code}")

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
        flow = Flow(self._chance.choice(self.gateways).url, api_key=API_KEY)
        tops = {}
        for channel in sorted({channel for client in self._clients for channel in client.channels}):
            history = flow.history(channel, limit=0)
            tops[channel] = Position(history.epoch, history.offset, history.tag)
        flow.close()
        return tops

    async def _link(self, stack: AsyncExitStack, window: int) -> Proxy:
        ports = [gateway.port for gateway in self.gateways]
        proxy = Proxy(*ports, window=window, chance=random.Random(self._chance.getrandbits(32)))
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        return proxy

    def _make_clients(self, links: Sequence[Proxy]) -> list[Client]:
        """The users one after the other, and then second tabs of the first ones. Every second reader knows no tags.

        Where a lost end may have died with the gateway that knew it, tags alone can tell, and all know them.
        """
        only_by_tags = expectations(self._options, self.plan).witnesses_lost
        clients = []
        for number, link in enumerate(links):
            user = USERS[number % len(USERS)]
            asked = self._chance.sample(CHANNELS, self._chance.randint(1, ASKED))
            chance = random.Random(self._chance.getrandbits(32))
            tags = only_by_tags or number % 2 == 0
            clients.append(Client(f"client-{number + 1}", user, asked, link, self._recorder, chance, tags=tags))
        return clients

    async def _producer_ways(self, stack: AsyncExitStack) -> list[Way]:
        """Some push straight to Redis, the others to the gateways."""
        straight = self._engine.ways if self._engine is not None else []
        links = [await self._link(stack, 0) for _ in range(self._options.producers - len(straight))]
        return [*(Way(f"http://127.0.0.1:{link.port}", link) for link in links), *straight]

    def _make_producers(self, ways: Sequence[Way]) -> Producers:
        return Producers(ways, self._histories, USERS, CHANNELS, self._options.rate, PUBLISH_TIMEOUT, self._chance)

    async def _come_to_tell(self, stack: AsyncExitStack) -> list[Proxy]:
        """Let tellers come, where somebody handles what they tell; return their links."""
        links = [await self._link(stack, 0) for _ in range(TELLERS if self._options.hooks else 0)]
        self._tellers = Tellers(links, self._recorder, self._hooks_chance)
        stack.push_async_callback(self._tellers.stop)
        self._tellers.start()
        return links

    def _make_nemesis(self, producers: Producers, untouched: Proxy, telling: Sequence[Proxy]) -> Nemesis:
        points = list(POINTS)
        if self._options.keeps_file:
            points += STORE_POINTS
        if self._options.keeps_file and self._options.ack == "disk":
            points += SYNC_POINTS
        return Nemesis(
            self.gateways,
            self._clients,
            producers,
            self._recorder,
            self._directory,
            points,
            disk=self._disk,
            clock=self._clock,
            engine=self._engine,
            further={**self._engine_faults(), **self._load_faults(untouched), **self._application_faults()},
            telling=telling,
            application_away=lambda: self._application is not None and self._application.is_troubled,
        )

    def _engine_faults(self) -> dict[str, Fault]:
        if isinstance(self._engine, ClusterEngine):
            return ClusterFaults(self._engine).faults
        if self._engine is None:
            return {}
        rollback = Rollback(self._engine, self.gateways, self._clients, self._directory, self._misbehaved)
        return {**RedisFaults(self._engine).faults, "redis_rolled_back": rollback.do}

    def _application_faults(self) -> dict[str, Fault]:
        return self._application.faults if self._application is not None else {}

    def _load_faults(self, untouched: Proxy) -> dict[str, Fault]:
        """What those do who read, publish and visit, and what needs much that is published."""
        floods = Floods(self.gateways, self._histories)
        slow_readers = SlowReaders(self.gateways, self._clients, floods)
        worker_faults = WorkerFaults(self.gateways, floods, self._misbehaved)
        return {**self._make_visitors(untouched).faults, **slow_readers.faults, **worker_faults.faults}

    def _make_visitors(self, untouched: Proxy) -> Visitors:
        alone = all(fault.lane in ("visitors", "producers", "links") for fault in self.plan)
        return Visitors(self.gateways, USERS, untouched, self._recorder, alone=alone)

    async def _watch(self) -> None:
        """Look at the gateways' memory, and whether they are there when nobody took them away."""
        while True:
            for gateway in self.gateways:
                for pid, size in gateway.memory().items():
                    self._recorder.write(Memory(at=now(), process="campaign", target=f"process {pid}", size=size))
                if not gateway.up and not gateway.taken:
                    self._misbehaved(f"died by itself with {gateway.exit_code}")
                    await gateway.start()
            await asyncio.sleep(0.5)

    def _misbehaved(self, what: str) -> None:
        self._recorder.write(Misbehaved(at=now(), process="campaign", target="gateway", what=what))

    async def _kill_gateways(self) -> None:
        for gateway in self.gateways:
            if gateway.up:
                await gateway.kill()


def _stands_at(client: Client, tops: dict[str, Position]) -> bool:
    at = client.session.positions
    return all(at[channel][:2] == top[:2] for channel in client.channels if (top := tops.get(channel)))


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run(options: Options, keep: Path | None = None, *, keep_good: bool = False, code: Path | None = None) -> Outcome:
    """Do a run and judge it.

    Args:
        options: what to do; see `possible` for what can be done.
        keep: where the history and the gateway's log go when the verdict is bad; None keeps nothing.
        keep_good: keeps them when it is good, too.
        code: where the package lies whose gateway is run; None runs that of this checkout.
    """
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        directory = Path(place)
        performing = Run(options, directory, code)
        events = asyncio.run(performing.perform())
        verdict = check(events, expectations(options, performing.plan))
        kept = None
        if keep is not None and (keep_good or not verdict.good):
            kept = keep_run(keep, options, events, performing.gateways)
        complaints = sum((gateway.complaints() for gateway in performing.gateways), Counter[str]())
    return Outcome(options, verdict, performing.plan, complaints, kept)
