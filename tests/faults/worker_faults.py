"""What is done to several workers, their parent, and the links between them.

A link is cut in the middle of a frame, has no room, cannot be come to any more; who is at one end stands still for
longer than the other takes it to live; the parent may open no more files. Afterwards every worker has a link again.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple
from urllib.request import Request, urlopen

from messageflow.brokers.worker_link.framing import FrameError
from tests.faults.clients import until
from tests.faults.flood import Floods
from tests.faults.gateway import Gateway, freeze, send
from tests.faults.schedule import Planned
from tests.faults.worker_links import (
    WorkerLink,
    address_of,
    holders,
    identify_links,
    is_writable,
    links_of,
    narrow,
    unfinished,
)
from tests.support import API_KEY

BACK_SECONDS = 60.0
"""Seconds within which every worker has a link again: one that died often is replaced after ten at most, and starts."""

SHOW_SECONDS = 15.0
"""Seconds a fault may last longer than planned, until it shows."""

OVERDUE = "did not confirm a subscription"
KEPT_SECONDS = 0.5
"""Seconds in which a link that was made after a cut shows that it holds."""

TRY_SECONDS = 2.0
"""Seconds within which a process that stands still is written more than it has room for; then another try is made."""

SETTLE_SECONDS = 0.2
"""Seconds between two tries, in which who stood still reads what waits, to the end of a frame."""

LOOK_EVERY = 0.01
FETCH_SECONDS = 3.0
WIDER = 3_000
"""Bytes by which a buffer grows until a frame is cut: what is written up to its end is most likely no whole frame."""

WAITING_MOST = 12 << 20
"""Bytes that may wait for a worker: publications up to 8 MiB, and what is not dropped."""

LEAKED = 12
"""Open files by which a parent may have more after a fault than before: connections that came meanwhile."""

METRIC = re.compile(rb"^messageflow_\w*link_(bytes_waiting|publications_dropped)\S* (\S+)$", re.MULTILINE)


class WorkerFaults:
    """The faults, by kind.

    Args:
        gateways: with several workers.
        floods: fills links.
        misbehaved: is told what they must never do.
    """

    def __init__(self, gateways: Sequence[Gateway], floods: Floods, misbehaved: Callable[[str], None]) -> None:
        self._gateways = gateways
        self._floods = floods
        self._misbehaved = misbehaved
        self.faults: dict[str, Callable[[Planned, random.Random], Awaitable[int]]] = {
            "workers_kill": self._workers_kill,
            "parent_freeze": self._parent_freeze,
            "parent_files": self._parent_files,
            "link_cut": self._link_cut,
            "link_narrow": self._link_narrow,
            "link_address_gone": self._link_address_gone,
            "worker_behind": self._worker_behind,
        }

    async def _expect_links(self, gateway: Gateway, workers: int, since: Collection[int] = ()) -> None:
        """Every worker is there and has a link, and none of them is one of `since`."""

        def whole() -> int:
            now = set(gateway.workers())
            return int(len(now) == workers and not now & set(since) and len(identify_links(gateway.pid)) == workers)

        if not await until(whole, BACK_SECONDS):
            found = f"{len(gateway.workers())} workers and {len(identify_links(gateway.pid))} links"
            self._misbehaved(f"has {found}, {BACK_SECONDS:.0f} s after something was done to its {workers} workers")

    async def _await_links(self, gateway: Gateway) -> None:
        """Wait until every worker has a link: one on which it waited for too long is being made anew."""
        await until(lambda: int(len(identify_links(gateway.pid)) >= len(gateway.workers()) > 0), SHOW_SECONDS)

    def _expect_kept(self, gateway: Gateway, kept: set[int], what: str, logged: int) -> None:
        """These links are not made anew: each that is costs a comparison of all positions of a worker.

        One on which a subscription waited for too long is, rightly, and that was logged after so many lines.
        """
        if any(OVERDUE in line for line in gateway.lines[logged:]):
            return
        if lost := kept - identify_links(gateway.pid):
            self._misbehaved(f"lost {len(lost)} links to which nothing was done but that {what}")

    # Processes

    async def _workers_kill(self, planned: Planned, chance: random.Random) -> int:
        gateway = chance.choice(self._gateways)
        workers = gateway.workers()
        killed = sum(send(pid, signal.SIGKILL) for pid in workers)
        await self._expect_links(gateway, len(workers), set(workers))
        return killed

    async def _parent_freeze(self, planned: Planned, chance: random.Random) -> int:
        gateway = chance.choice(self._gateways)
        workers = len(gateway.workers())
        stopped = await freeze([gateway.pid], planned.seconds)
        await self._expect_links(gateway, workers)
        return stopped

    async def _parent_files(self, planned: Planned, chance: random.Random) -> int:
        """The parent can open no file, and a worker dies and another loses its link meanwhile."""
        gateway = chance.choice(self._gateways)
        pid, workers = gateway.pid, gateway.workers()
        before = len(os.listdir(f"/proc/{pid}/fd"))
        logged = len(gateway.lines)
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)

        def refused() -> int:
            return sum("Too many open files" in line for line in gateway.lines[logged:])

        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_lowest_free(pid), hard))
        try:
            killed = chance.choice(workers)
            with links_of(pid) as links:
                for link in links:
                    link.cut()
            send(killed, signal.SIGKILL)
            await asyncio.sleep(planned.seconds)
            fired = await until(refused, SHOW_SECONDS)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        await self._expect_links(gateway, len(workers), {killed})
        if (more := len(os.listdir(f"/proc/{pid}/fd")) - before) > LEAKED:
            self._misbehaved(f"has {more} files more open than before it could open none")
        return fired

    # Links

    async def _link_cut(self, planned: Planned, chance: random.Random) -> int:
        """A link ends in the middle of a frame; returns how many bytes of that frame had arrived."""
        gateway = chance.choice(self._gateways)
        workers = len(gateway.workers())
        logged = len(gateway.lines)
        fired, kept = 0, set[int]()
        flowing = threading.Event()
        over = time.monotonic() + SHOW_SECONDS
        async with self._floods.into_channel(gateway, chance, flowing) as pages:
            while not fired and time.monotonic() < over:
                fired, kept = await self._try_to_cut(gateway, chance, pages, flowing)
                await asyncio.sleep(0 if fired else SETTLE_SECONDS)
        await self._expect_links(gateway, workers)
        after = identify_links(gateway.pid)
        self._expect_kept(gateway, kept, "another was cut", logged)
        await asyncio.sleep(KEPT_SECONDS)
        self._expect_kept(gateway, after, "they were made after a cut", logged)
        return fired

    async def _try_to_cut(
        self, gateway: Gateway, chance: random.Random, pages: Mapping[int, int], flowing: threading.Event
    ) -> tuple[int, set[int]]:
        """Cut a link; return how many bytes of a frame had arrived, and the links to which nothing was done."""
        await self._await_links(gateway)
        hearing = holders(gateway.workers(), gateway.port, pages.values())
        with links_of(gateway.pid) as links:
            if chance.random() < 0.5 or not hearing:
                reader = gateway.pid
                ways = [Way(link, link.at_worker, link.at_parent) for link in links]
            else:
                reader = chance.choice(hearing)
                ways = [Way(link, link.at_parent, link.at_worker) for link in links if link.worker == reader]
            fired, cut = await _cut_within_frame(reader, ways, flowing)
            return fired, {link.identity for link in links} - cut

    async def _link_narrow(self, planned: Planned, chance: random.Random) -> int:
        """The kernel takes next to nothing, and large things go both ways; returns how often an end was found full."""
        gateway = chance.choice(self._gateways)
        fired, logged = 0, len(gateway.lines)
        await self._await_links(gateway)
        with links_of(gateway.pid) as links:
            before = {link.identity for link in links}
            sizes = [link.narrow() for link in links]
            over = time.monotonic() + planned.seconds
            async with self._floods.into_channel(gateway, chance):
                while (now := time.monotonic()) < over or (not fired and now < over + SHOW_SECONDS):
                    fired += sum(link.is_full() for link in links)
                    await asyncio.sleep(LOOK_EVERY)
            for link, size in zip(links, sizes, strict=True):
                link.widen(size)
        self._expect_kept(gateway, before, "they had no room", logged)
        return fired

    async def _link_address_gone(self, planned: Planned, chance: random.Random) -> int:
        """A cleaner removes the socket, or its directory, and then the links are lost that were made there."""
        gateway = chance.choice(self._gateways)
        workers = len(gateway.workers())
        address = address_of(gateway.pid)
        if address is None:
            return 0
        await self._await_links(gateway)
        if chance.random() < 0.5:
            address.unlink()
        else:
            shutil.rmtree(address.parent)
        with links_of(gateway.pid) as links:
            for link in links:
                link.cut()
            fired = len(links)
        await self._expect_links(gateway, workers)
        return fired

    async def _worker_behind(self, planned: Planned, chance: random.Random) -> int:
        """A worker stands still while more is published than may wait for it; returns how much was dropped for it."""
        gateway = chance.choice(self._gateways)
        workers = gateway.workers()
        async with self._floods.into_channel(gateway, chance) as pages:
            await until(lambda: len(holders(workers, gateway.port, pages.values())), SHOW_SECONDS)
            behind = chance.choice(holders(workers, gateway.port, pages.values()) or workers)
            before = await self._first_figures(gateway)
            send(behind, signal.SIGSTOP)
            try:
                await asyncio.sleep(planned.seconds)
                found = await self._wait_until_dropped(gateway, before.dropped)
            finally:
                send(behind, signal.SIGCONT)
        if found.waiting > WAITING_MOST:
            self._misbehaved(f"let {found.waiting:,} bytes wait for a worker that stood still")
        await self._expect_links(gateway, len(workers))
        return max(0, found.dropped - before.dropped) if before.known else 0

    async def _first_figures(self, gateway: Gateway) -> LinkFigures:
        """Return the figures while everybody is there: dropped before is not dropped by this."""
        over = time.monotonic() + SHOW_SECONDS
        while True:
            found = await self._figures(gateway)
            if found.known or time.monotonic() > over:
                return found
            await asyncio.sleep(LOOK_EVERY)

    async def _wait_until_dropped(self, gateway: Gateway, before: int) -> LinkFigures:
        """Return the figures once more has been dropped than before, or when time is over."""
        over = time.monotonic() + SHOW_SECONDS
        while True:
            found = await self._figures(gateway)
            if found.dropped > before or time.monotonic() > over:
                return found
            await asyncio.sleep(LOOK_EVERY)

    async def _figures(self, gateway: Gateway) -> LinkFigures:
        try:
            return read_figures(await asyncio.to_thread(_fetch, f"{gateway.url}/messageflow/metrics"))
        except OSError:  # it went to the worker that stands still
            return LinkFigures(0, 0, known=False)


class Way(NamedTuple):
    """One direction of a link: the ends that write and read."""

    link: WorkerLink
    writing: socket.socket
    reading: socket.socket


async def _cut_within_frame(reader: int, ways: Sequence[Way], flowing: threading.Event) -> tuple[int, set[int]]:
    """Stop a process, let who writes to it run out of room within a frame, and end that link.

    It stops before anything large flows, for who was stopped within a frame cannot be looked at.

    Returns how many bytes of the frame had arrived, and which link it was; 0 when it cannot be known.
    """
    sizes = dict.fromkeys(ways, 2 * WIDER)
    cut: list[Way] = []

    def cut_short() -> int:
        for way in list(sizes):
            try:
                found = unfinished(way.reading)
            except FrameError:
                del sizes[way]
                continue
            if found:
                cut.append(way)
                return found
            if not is_writable(way.writing):  # full, at the end of a frame
                sizes[way] += WIDER
                narrow(way.writing, sizes[way])
        return 0

    send(reader, signal.SIGSTOP)
    before = [narrow(way.writing, size) for way, size in sizes.items()]
    flowing.set()
    try:
        over = time.monotonic() + TRY_SECONDS
        while True:
            fired = cut_short()
            if fired or not sizes or time.monotonic() > over:
                break
            await asyncio.sleep(LOOK_EVERY)
        for way in cut:
            way.link.cut()
    finally:
        flowing.clear()
        for way, size in zip(ways, before, strict=True):
            narrow(way.writing, size)
        send(reader, signal.SIGCONT)
    return fired, {way.link.identity for way in cut}


class LinkFigures(NamedTuple):
    """What a gateway says of the links of its workers.

    Args:
        waiting: bytes that have not been taken yet.
        dropped: publications for which there was no room.
        known: whether it answered at all.
    """

    waiting: int
    dropped: int
    known: bool = True


def read_figures(metrics: bytes) -> LinkFigures:
    """Return them, as metrics have them."""
    found = {name: float(value) for name, value in METRIC.findall(metrics)}
    return LinkFigures(int(found.get(b"bytes_waiting", 0)), int(found.get(b"publications_dropped", 0)))


def _fetch(url: str) -> bytes:
    with urlopen(Request(url, headers={"X-API-Key": API_KEY}), timeout=FETCH_SECONDS) as answer:
        content: bytes = answer.read()
    return content


def _lowest_free(pid: int) -> int:
    """Return the number a process would give the next file it opens."""
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return min(set(range(len(taken) + 1)) - taken)
