"""Does the faults of a plan to a run, one lane beside the other, and records when each began, ended, and what it did.

A fault that has not shown yet when its time is over lasts until it has, for a while: a cut waits for a connection to
cut, a slow reader for a full buffer. One that never shows is recorded with 0, and makes the run bad.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.faults.clients import Client, never, until
from tests.faults.disturbances import Disturbances, start_again
from tests.faults.gateway import Gateway, any_away, freeze, send
from tests.faults.history import FaultStart, FaultStop, Misbehaved, Recorder, now
from tests.faults.machine import Clock, SmallDisk, Strace
from tests.faults.producers import Producers
from tests.faults.proxy import DOWN, UP, Faults, Proxy
from tests.faults.schedule import LANES, Planned

PROCESS = "nemesis"
SHOW_SECONDS = 15.0
"""Seconds a fault may last longer than planned, until it shows; while a gateway is away none can."""

WORKER_SECONDS = 10.0
"""Seconds within which a parent has replaced a worker that died."""

TOLD_SECONDS = 6.0
"""Seconds within which a gateway says that it is not ready, once its data directory is gone."""

CROWD = 60
"""Visitors that come at once in a storm."""

CLOCK_STEPS = (-600, -60, 60, 540)

POINTS = (("accept,accept4", 3), ("read", 200), ("write", 200))
"""Where a gateway dies: in which system calls, and at the how-manieth at most. Its threads wake each other by `write`,
and it answers by two of them, so that these are also the points before, between and after storing and answering."""

STORE_POINTS = (("pwrite64", 60),)
SYNC_POINTS = (("fsync,fdatasync", 20),)

Fault = Callable[[Planned, random.Random], Awaitable[int]]
"""Does one planned fault with the choices of its own, and returns how often it really happened."""


class Nemesis:
    """The faults of one run.

    Args:
        gateways: whose processes are killed, frozen and drained, one gateway at a time.
        clients: whose links are broken, and who stop reading.
        producers: who are killed, and whose links are broken.
        recorder: takes what is done.
        directory: for the logs of tools.
        points: in which system calls the gateway may be killed: of POINTS, STORE_POINTS, SYNC_POINTS.
        disk, clock: what the data directory lies on and what time the gateways see, when the run has them.
        engine: the Redis they need to start, when the run has one.
        further: faults that others do, by kind.
        telling: links of those who tell the application something, which break as the clients' do.
        application_away: whether the application may let nobody in.
    """

    def __init__(
        self,
        gateways: Sequence[Gateway],
        clients: Sequence[Client],
        producers: Producers,
        recorder: Recorder,
        directory: Path,
        points: Sequence[tuple[str, int]],
        *,
        disk: SmallDisk | None = None,
        clock: Clock | None = None,
        engine: Disturbances | None = None,
        further: Mapping[str, Fault] = MappingProxyType({}),
        telling: Sequence[Proxy] = (),
        application_away: Callable[[], bool] = never,
    ) -> None:
        self._gateways = gateways
        self._clients = clients
        self._producers = producers
        self._recorder = recorder
        self._directory = directory
        self._points = points
        self._disk = disk
        self._clock = clock
        self._engine = engine
        self._telling = telling
        self._application_away = application_away
        self._crowds = 0
        self._faults: dict[str, Fault] = {
            **further,
            "latency": self._latency,
            "throttle": self._throttle,
            "slicer": self._slicer,
            "pause": self._pause,
            "cut": self._cut,
            "limit_data": self._limit_data,
            "blackhole": self._blackhole,
            "half_open_up": self._half_open_up,
            "half_open_down": self._half_open_down,
            "storm": self._storm,
            "gateway_kill": self._gateway_kill,
            "gateway_kill_at": self._gateway_kill_at,
            "gateway_drain": self._gateway_drain,
            "gateway_drain_cut_short": self._gateway_drain_cut_short,
            "gateway_freeze": self._gateway_freeze,
            "worker_kill": self._worker_kill,
            "worker_freeze": self._worker_freeze,
            "parent_kill": self._parent_kill,
            "disk_full": self._disk_full,
            "fsync_error": self._fsync_error,
            "directory_gone": self._directory_gone,
            "clock_step": self._clock_step,
            "publisher_kill": self._publisher_kill,
            "publisher_cut": self._publisher_cut,
            "publisher_blackhole": self._publisher_blackhole,
            "publisher_answer_lost": self._publisher_answer_lost,
            "publisher_latency": self._publisher_latency,
        }

    async def run(self, plan: Sequence[Planned]) -> None:
        """Do everything that is planned, and return when the last fault is over."""
        began = time.monotonic()
        lanes = [[fault for fault in plan if fault.lane == lane] for lane in LANES]
        await asyncio.gather(*(self._lane(lane, began) for lane in lanes))

    async def _lane(self, plan: Sequence[Planned], began: float) -> None:
        """Do these one after the other; what takes longer than planned delays the rest."""
        for planned in plan:
            await asyncio.sleep(max(began + planned.at - time.monotonic(), 0))
            await self._do(planned)
            began += max(time.monotonic() - began - planned.over, 0)

    async def _do(self, planned: Planned) -> None:
        chance = random.Random(planned.seed)
        target = ""
        if planned.kind == "publisher_kill":
            target = self._producers.name(self._which(chance))
            chance.seed(planned.seed)
        number, kind = planned.number, planned.kind
        self._recorder.write(FaultStart(at=now(), process=PROCESS, fault=number, kind=kind, target=target))
        fired = await self._faults[kind](planned, chance)
        self._recorder.write(FaultStop(at=now(), process=PROCESS, fault=number, kind=kind, fired=fired))

    def _away(self) -> bool:
        return any_away(self._gateways)

    def _lets_nobody_in(self) -> bool:
        return self._away() or self._application_away()

    async def _until(self, count: Callable[[], int]) -> int:
        return await until(count, SHOW_SECONDS, self._away)

    async def _hold(self, links: Sequence[Proxy], faults: Faults, name: str, seconds: float) -> int:
        return await hold(links, faults, name, seconds, self._away)

    def _misbehaved(self, what: str) -> None:
        self._recorder.write(Misbehaved(at=now(), process=PROCESS, target="gateway", what=what))

    # Links.

    def _links(self, chance: random.Random) -> list[Proxy]:
        links = [*(client.proxy for client in self._clients), *self._telling]
        return chance.sample(links, chance.randint(1, max(1, len(links) * 2 // 3)))

    async def _latency(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(latency=chance.uniform(0.01, 0.4), jitter=chance.uniform(0, 0.3))
        return await self._hold(self._links(chance), faults, "latency", planned.seconds)

    async def _throttle(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(bandwidth=int(chance.uniform(1_000, 30_000)))
        return await self._hold(self._links(chance), faults, "bandwidth", planned.seconds)

    async def _slicer(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(slice_size=chance.randint(1, 100), slice_pause=0.0005)
        return await self._hold(self._links(chance), faults, "slicer", planned.seconds)

    async def _pause(self, planned: Planned, chance: random.Random) -> int:
        return await self._hold(self._links(chance), Faults(paused=True), "pause", planned.seconds)

    async def _limit_data(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(limit=chance.randint(500, 50_000))
        return await self._hold(self._links(chance), faults, "limit_data", planned.seconds)

    async def _blackhole(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(discards=frozenset({UP, DOWN}))
        return await self._hold(self._links(chance), faults, "timeout", planned.seconds)

    async def _half_open_up(self, planned: Planned, chance: random.Random) -> int:
        return await self._hold(self._links(chance), Faults(discards=frozenset({UP})), "half_open_up", planned.seconds)

    async def _half_open_down(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(discards=frozenset({DOWN}))
        return await self._hold(self._links(chance), faults, "half_open_down", planned.seconds)

    async def _cut(self, planned: Planned, chance: random.Random) -> int:
        links = self._links(chance)
        return await self._until(lambda: sum(link.cut() for link in links))

    async def _storm(self, planned: Planned, chance: random.Random) -> int:
        """All links are cut, and a crowd comes at the same moment, reads for a while and leaves."""
        self._crowds += 1
        crowd = []
        for number in range(CROWD):
            model = self._clients[number % len(self._clients)]
            name = f"visitor-{self._crowds}-{number + 1}"
            further = random.Random(chance.getrandbits(32))
            crowd.append(Client(name, model.user, model.channels[2:], model.proxy, self._recorder, further))
        for client in self._clients:
            client.proxy.cut()
        visits = [visitor.visit(planned.seconds, SHOW_SECONDS, self._lets_nobody_in) for visitor in crowd]
        return sum(await asyncio.gather(*visits))

    # The gateways' processes.

    def _taken(self, chance: random.Random) -> Gateway:
        """Choose a gateway to take away."""
        gateway = chance.choice(self._gateways)
        gateway.taken = True
        return gateway

    async def _start(self, gateway: Gateway) -> None:
        await start_again(gateway, self._engine, self._misbehaved)

    async def _gateway_kill(self, planned: Planned, chance: random.Random) -> int:
        gateway = self._taken(chance)
        fired = int(gateway.up)
        await gateway.kill()
        await asyncio.sleep(planned.seconds)
        await self._start(gateway)
        return fired

    async def _gateway_kill_at(self, planned: Planned, chance: random.Random) -> int:
        calls, most = chance.choice(self._points)
        strace = Strace.killing(self._directory / f"strace-{planned.number}.log", calls, chance.randint(1, most))
        gateway = self._taken(chance)
        strace.begin(gateway.processes())
        try:
            if calls.startswith("accept"):
                await asyncio.sleep(0.3)  # until strace has taken hold
                fired = await cut_until([client.proxy for client in self._clients], strace.fired)
            else:
                fired = await until(strace.fired, SHOW_SECONDS)
        finally:
            await asyncio.to_thread(strace.end)
        await gateway.kill()
        await self._start(gateway)
        return fired

    async def _gateway_drain(self, planned: Planned, chance: random.Random) -> int:
        gateway = self._taken(chance)
        if not await gateway.drain():
            self._misbehaved(f"did not drain: it ended with {gateway.exit_code}")
        await asyncio.sleep(planned.seconds)
        await self._start(gateway)
        return 1

    async def _gateway_drain_cut_short(self, planned: Planned, chance: random.Random) -> int:
        gateway = self._taken(chance)
        fired = int(send(gateway.pid, signal.SIGTERM))
        await asyncio.sleep(planned.seconds)
        await gateway.kill()
        await self._start(gateway)
        return fired

    async def _gateway_freeze(self, planned: Planned, chance: random.Random) -> int:
        return await freeze(chance.choice(self._gateways).processes(), planned.seconds)

    async def _worker_kill(self, planned: Planned, chance: random.Random) -> int:
        gateway = chance.choice(self._gateways)
        workers = gateway.workers()
        killed = send(chance.choice(workers), signal.SIGKILL)
        if not await until(lambda: len(set(gateway.workers()) - set(workers)), WORKER_SECONDS):
            self._misbehaved(f"did not replace a worker within {WORKER_SECONDS:.0f} s")
        return int(killed)

    async def _worker_freeze(self, planned: Planned, chance: random.Random) -> int:
        return await freeze([chance.choice(chance.choice(self._gateways).workers())], planned.seconds)

    async def _parent_kill(self, planned: Planned, chance: random.Random) -> int:
        gateway = self._taken(chance)
        if not await gateway.kill_parent():
            self._misbehaved("left workers behind when its parent was killed")
        await asyncio.sleep(planned.seconds)
        await self._start(gateway)
        return 1

    # What the machine does to it.

    async def _disk_full(self, planned: Planned, chance: random.Random) -> int:
        assert self._disk is not None
        fired = self._disk.fill()
        await asyncio.sleep(planned.seconds)
        self._disk.empty()
        return fired

    async def _fsync_error(self, planned: Planned, chance: random.Random) -> int:
        """Whoever could not sync does not know what is on the disk: it is restarted, as its operator would do."""
        syncs = Strace.failing_syncs(self._directory / f"strace-{planned.number}.log")
        gateway = self._gateways[0]
        syncs.begin(gateway.processes())
        try:
            await asyncio.sleep(planned.seconds)
            await until(syncs.fired, SHOW_SECONDS)
        finally:
            await asyncio.to_thread(syncs.end)
        gateway.taken = True
        await gateway.kill()
        await self._start(gateway)
        return syncs.fired()

    async def _directory_gone(self, planned: Planned, chance: random.Random) -> int:
        """Somebody removes the data directory. Nothing may be called stored then, and the operator is told."""
        gateway = self._gateways[0]
        files = [path for path in gateway.data_dir.iterdir() if not path.is_socket()]
        for path in files:
            path.unlink() if path.is_file() else await asyncio.to_thread(shutil.rmtree, path)
        gateway.data_dir.rmdir()
        if not await asyncio.to_thread(gateway.wait_until_unready, TOLD_SECONDS):
            self._misbehaved(f"says it is ready {TOLD_SECONDS:.0f} s after its data directory was removed")
        elif (claimed := await asyncio.to_thread(gateway.claims_stored)) is not None:
            self._misbehaved(f"said {claimed!r} of a push though its data directory was gone")
        await asyncio.sleep(planned.seconds)
        gateway.taken = True
        await gateway.kill()
        gateway.data_dir.mkdir()
        await self._start(gateway)
        return len(files)

    async def _clock_step(self, planned: Planned, chance: random.Random) -> int:
        assert self._clock is not None
        before = self._clock.fired()
        self._clock.step(chance.choice(CLOCK_STEPS))
        await asyncio.sleep(planned.seconds)
        self._clock.step(0)
        return self._clock.fired() - before

    # Producers.

    def _which(self, chance: random.Random) -> int:
        return chance.randrange(self._producers.number)

    async def _publisher_kill(self, planned: Planned, chance: random.Random) -> int:
        return int(await self._producers.replace(self._which(chance)))

    async def _publisher_cut(self, planned: Planned, chance: random.Random) -> int:
        links = self._producers.links
        return await self._until(lambda: sum(link.cut() for link in links))

    async def _publisher_blackhole(self, planned: Planned, chance: random.Random) -> int:
        link = chance.choice(self._producers.links)
        return await self._hold([link], Faults(discards=frozenset({UP, DOWN})), "timeout", planned.seconds)

    async def _publisher_answer_lost(self, planned: Planned, chance: random.Random) -> int:
        """What was asked arrives, the answer does not, and the connection is reset soon after."""
        return await self._hold(
            self._producers.links, Faults(discards=frozenset({DOWN})), "half_open_down", planned.seconds
        )

    async def _publisher_latency(self, planned: Planned, chance: random.Random) -> int:
        faults = Faults(latency=chance.uniform(0.05, 0.5), jitter=chance.uniform(0, 0.5))
        return await self._hold(self._producers.links, faults, "latency", planned.seconds)


async def cut_until(links: Sequence[Proxy], shown: Callable[[], int], turn: float = 1.0) -> int:
    """Cut links each second, so that those who come again are accepted, until that shows; of several gateways any."""
    for _ in range(int(SHOW_SECONDS)):
        sum(link.cut() for link in links)
        if found := await until(shown, turn):
            return found
    return 0


async def hold(
    links: Sequence[Proxy], faults: Faults, name: str, seconds: float, away: Callable[[], bool] = never
) -> int:
    """Do this to links for a while, until it shows; return how often it did, by the name the links count it under.

    Time in which a gateway is `away` does not count.
    """
    before = sum(link.fired[name] for link in links)

    def fired() -> int:
        return sum(link.fired[name] for link in links) - before

    for link in links:
        link.set(faults)
    await asyncio.sleep(seconds)
    await until(fired, SHOW_SECONDS, away)
    for link in links:
        link.heal()
    return fired()
