"""Recovery: how long until all who were away have everything they missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import uvloop

from benchmarks.figures import Figure, at_most
from benchmarks.pages import Page, Pages
from benchmarks.plan import Plan
from benchmarks.pushing import in_batches, one_after_another, push
from benchmarks.servers.base import Running, running

PAGES = 5_000
MISSED = 100
PUSHING_PROCESSES = 2
WAIT_SECONDS = 60.0
METHOD = (
    f"{PAGES:,} pages of distinct users connect and are cut off; {MISSED} pushes to each are stored; then all "
    "come back at once, with their positions. Time from the first attempt until the last page has all it missed, "
    "whether in the answer or after it. A page that is turned away waits as the browser client does. The second time "
    f"they miss {MISSED} broadcasts instead, which all of them share. Every offset is checked. The pages are Python "
    "and share the machine: their CPU stands beside the gateway's."
)


class Sample(NamedTuple):
    """One time that all came back: seconds until all was there, seconds of CPU on either side, refusals."""

    seconds: float
    server_cpu: float
    pages_cpu: float
    turned_away: int


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (pairs,) = plan.alternate(plan.long_rounds, recovery=lambda: sample(plan, PAGES))
    return [
        figure
        for what, samples in zip(("of their own", "of one channel"), zip(*pairs, strict=True), strict=True)
        for figure in figures(f"{PAGES:,} pages recover {MISSED} each {what}", samples)
    ]


def figures(what: str, samples: tuple[Sample, ...]) -> list[Figure]:
    """How long it took, the CPU on either side, and how many were not let in at once."""
    server, pages = tuple(one.server_cpu for one in samples), tuple(one.pages_cpu for one in samples)
    return [
        Figure(what, "s", tuple(one.seconds for one in samples), targets=(at_most(5),)),
        Figure(f"server CPU: {what}", "s", server, "pages", pages),
        Figure(f"turned away: {what}", "times", tuple(float(one.turned_away) for one in samples)),
    ]


def sample(plan: Plan, count: int) -> tuple[Sample, Sample]:
    """Miss pushes and come back, then miss broadcasts and come back.

    Raises:
        PagesFailed: not all came back, or one did not get everything.
    """
    server = plan.ours(plan.scratch)
    with running(server, plan.scratch) as process, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pages = Pages(Page(number, server.port) for number in range(count))
        runner.run(pages.come())
        runner.run(pages.leave())
        push(in_batches, server.port, [page.user for page in pages.all] * MISSED, PUSHING_PROCESSES)
        own = runner.run(recover(process, pages, lambda page: page.offsets[f"#{page.user}"] == MISSED))
        runner.run(pages.leave())
        push(one_after_another, server.port, ["*"] * MISSED)
        shared = runner.run(recover(process, pages, lambda page: page.offsets["*"] == MISSED))
        runner.run(pages.leave())
    return own, shared


async def recover(process: Running, pages: Pages, is_whole: Callable[[Page], bool]) -> Sample:
    """Come back all at once, until every page is whole."""
    refused = sum(page.refused for page in pages.all)
    before, used = process.cpu_seconds(), time.process_time()
    started = time.monotonic()
    for page in pages.all:
        page.returns = True
    await pages.come(at_a_time=len(pages.all))
    await pages.until(is_whole, WAIT_SECONDS, "whole")
    seconds = max(page.whole_at for page in pages.all) - started
    refused = sum(page.refused for page in pages.all) - refused
    return Sample(seconds, process.cpu_seconds() - before, time.process_time() - used, refused)
