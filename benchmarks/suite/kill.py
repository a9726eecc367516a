"""Kill -9 of one of two workers: how long until its pages are back and have everything."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import psutil
import uvloop

from benchmarks.figures import Figure, at_most
from benchmarks.pages import Page, Pages, PagesFailed, percentile
from benchmarks.plan import Plan
from benchmarks.pushing import Backend, Told
from benchmarks.servers.base import Running, running
from benchmarks.servers.gateway import with_flags

PAGES = 5_000
PUSHES = 200  # a second
BROADCAST_EVERY = 50  # pushes; each goes to all pages
LOAD_SECONDS = 3.0  # before the kill, and again after the last page is back
WAIT_SECONDS = 60.0
METHOD = (
    f"serve --workers 2; {PAGES:,} pages of distinct users; a backend makes {PUSHES} pushes a second, of which every "
    f"{BROADCAST_EVERY}th goes to all ({PUSHES / BROADCAST_EVERY * PAGES:,.0f} deliveries/s). The worker with more "
    "connections is killed with SIGKILL. Its pages come back with full jitter, as the browser client does (anywhere "
    "within 0.5 s, then 1 s, …). For each of them, time from the kill until it had all that was pushed before it was "
    "taken back. In the end every page must have every offset up to the last receipt, those of the other worker "
    "without having been cut off."
)


class Sample(NamedTuple):
    """One kill: seconds to be back and whole, over the pages that were cut off; how many, and the slowest push."""

    p50: float
    p99: float
    longest: float
    cut_off: int
    slowest_push: float


class Killed(NamedTuple):
    """When it was, how many connections it cut, and what had been pushed in the end."""

    at: float
    connections: int
    told: Told


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (samples,) = plan.alternate(plan.long_rounds, kill=lambda: sample(plan, PAGES))
    return [
        Figure("kill -9, pages whole again, p50", "s", tuple(one.p50 for one in samples)),
        Figure("kill -9, pages whole again, p99", "s", tuple(one.p99 for one in samples), targets=(at_most(5),)),
        Figure("kill -9, pages whole again, last", "s", tuple(one.longest for one in samples)),
        Figure("kill -9, slowest push meanwhile", "s", tuple(one.slowest_push for one in samples)),
    ]


def sample(plan: Plan, count: int) -> Sample:
    """Kill one worker of a fresh gateway.

    Raises:
        PagesFailed: nobody was cut off, or not all came back, or one missed something.
    """
    server = with_flags("--workers", "2")(plan.scratch)
    with running(server, plan.scratch) as process:
        pages = Pages(Page(number, server.port) for number in range(count))
        users = ["*" if not number % BROADCAST_EVERY else page.user for number, page in enumerate(pages.all)]
        with (
            Backend(server.port, users, PUSHES) as backend,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            killed = runner.run(kill(process, pages, backend))
    cut_off = [page.whole_at - killed.at for page in pages.all if page.closed_at]
    if not killed.connections - 1 <= len(cut_off) <= killed.connections:  # one may have been the backend's
        raise PagesFailed(f"{len(cut_off)} pages were cut off by killing {killed.connections} connections")
    p50, p99, longest = (percentile(cut_off, share) for share in (0.5, 0.99, 1))
    return Sample(p50, p99, longest, len(cut_off), killed.told.slowest)


async def kill(process: Running, pages: Pages, backend: Backend) -> Killed:
    """Kill a worker under load and wait until all are whole."""
    await pages.come()
    for page in pages.all:
        page.returns = True
    backend.begin()
    await asyncio.sleep(LOAD_SECONDS)
    port = process.server.port
    victim = max(process.workers(), key=lambda worker: held(worker, port))
    connections, killed_at = held(victim, port), time.monotonic()
    victim.kill()
    await asyncio.sleep(LOAD_SECONDS)
    await pages.until(lambda page: page.connected, WAIT_SECONDS, "back")
    await asyncio.sleep(LOAD_SECONDS)
    told = await asyncio.to_thread(backend.end)

    def has_all(page: Page) -> bool:
        return all(page.offsets[channel] >= told.newest.get(channel, 0) for channel in ("*", f"#{page.user}"))

    await pages.until(has_all, WAIT_SECONDS, "whole")
    return Killed(killed_at, connections, told)


def held(worker: psutil.Process, port: int) -> int:
    """How many connections to a port a worker holds."""
    sockets = worker.net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in sockets)
