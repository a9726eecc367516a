"""Draining: how long a gateway that is asked to end takes to send its pages away, and how gently it does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import NamedTuple

import uvloop

from benchmarks.figures import Figure, at_most
from benchmarks.pages import Page, Pages, PagesFailed
from benchmarks.plan import Plan
from benchmarks.servers.base import Running, ServerFailed, running

PAGES = 5_000
SHUTDOWN = 3001
WAIT_SECONDS = 40.0
METHOD = (
    f"{PAGES:,} connected pages of distinct users; SIGTERM to the gateway. Time until the last page was told to come "
    f"back elsewhere ({SHUTDOWN}) and the process has ended with status 0, whichever is later, and the greatest number "
    "of pages that were told within any one second. Every page has to be told; one that is merely cut off fails the "
    "run. The pages do not come back: nodes share no streams yet."
)


class Sample(NamedTuple):
    """One drain: seconds until all was over, and the pages told within the busiest second."""

    seconds: float
    busiest: int


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (samples,) = plan.alternate(plan.long_rounds, drain=lambda: sample(plan, PAGES))
    return [
        Figure(f"drain of {PAGES:,}", "s", tuple(one.seconds for one in samples), targets=(at_most(20),)),
        Figure(
            f"drain of {PAGES:,}, told within a second",
            "pages",
            tuple(float(one.busiest) for one in samples),
            targets=(at_most(1_000),),
        ),
    ]


def sample(plan: Plan, count: int) -> Sample:
    """Drain a fresh gateway.

    Raises:
        PagesFailed: a page was not told to come back elsewhere.
        ServerFailed: the gateway did not end, or not well.
    """
    server = plan.ours(plan.scratch)
    with running(server, plan.scratch) as process, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pages = Pages(Page(number, server.port) for number in range(count))
        runner.run(pages.come())
        seconds = runner.run(drain(process, pages))
    codes = Counter(page.code for page in pages.all)
    if codes != {SHUTDOWN: count}:
        raise PagesFailed(f"not all were told {SHUTDOWN}; the close codes, 0 for cut off: {dict(codes)}")
    return Sample(seconds, busiest_second([page.closed_at for page in pages.all]))


async def drain(process: Running, pages: Pages) -> float:
    """Ask the gateway to end; the seconds until it and all connections are gone."""
    started = time.monotonic()
    process.terminate()
    status = await asyncio.to_thread(process.wait, WAIT_SECONDS)
    seconds = time.monotonic() - started
    if status:
        raise ServerFailed(f"the gateway ended with status {status}")
    await pages.until(lambda page: not page.connected, 5.0, "gone")
    return max(seconds, max(page.closed_at for page in pages.all) - started)


def busiest_second(times: list[float]) -> int:
    """The greatest number of these times that lie within one second."""
    ordered = sorted(times)
    first = most = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
