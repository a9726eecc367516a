"""Redis away for ten seconds: how long until all who stayed have the next publication, and whether anything is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import uvloop

from benchmarks.figures import Figure
from benchmarks.pages import Page, Pages, PagesFailed
from benchmarks.plan import Plan
from benchmarks.pushing import in_batches, our_flow
from benchmarks.servers import redis
from benchmarks.servers.over_redis import System, over_redis
from messageflow.errors import PublishError

PAGES = 5_000
NODES = 2
AWAY_SECONDS = 10.0
SETTLE_SECONDS = 3.0  # Redis may hold back what it writes to its file for two
PAUSE_SECONDS = 0.05  # between attempts to publish
WAIT_SECONDS = 60.0
TYPE = "bench/outage"
METHOD = (
    f"{PAGES:,} pages of distinct users, half at each of {NODES} nodes over one {redis.SETTINGS_TOLD}; each has had a "
    f"broadcast and a push of its own. Then Redis is killed with SIGKILL, and {AWAY_SECONDS:.0f} s later started again "
    "with its file. A backend goes on trying to broadcast through the first node; what fails meanwhile is not counted. "
    "Time from Redis' first answer until all pages have the first broadcast that was accepted after it; then a push to "
    "each of them through the second node, in batches, until all have theirs. No connection may have been cut off, and "
    "every page must have every offset once, in order, up to the last receipt. The pages are Python and share the "
    "machine."
)


class Knocked(NamedTuple):
    """What came of trying to broadcast: the offset of the first that was accepted, when, and what failed before."""

    offset: int
    accepted_at: float
    failed: int
    slowest_failure: float  # seconds


class Sample(NamedTuple):
    """One outage.

    Seconds from Redis' return until a publish was accepted and until the last page had it, and that a push to each
    took then; failed publishes, seconds of the slowest of them, and percent of a core of all nodes meanwhile.
    """

    accepted: float
    all_have_it: float
    own_pushes: float
    failed: int
    slowest_failure: float
    cpu_share: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    (samples,) = plan.alternate(plan.long_rounds, outage=lambda: sample(plan))
    what = f"Redis away for {AWAY_SECONDS:.0f} s"

    def figure(words: str, unit: str, value: Callable[[Sample], float]) -> Figure:
        return Figure(f"{what}: {words}", unit, tuple(value(one) for one in samples))

    return [
        figure("from its return until a publish is accepted", "s", lambda one: one.accepted),
        figure(f"from its return until {PAGES:,} sessions have it", "s", lambda one: one.all_have_it),
        figure("then a push to each of them, until all have theirs", "s", lambda one: one.own_pushes),
        figure("publishes that failed meanwhile", "times", lambda one: one.failed),
        figure("the slowest of these", "s", lambda one: one.slowest_failure),
        figure("CPU of both nodes meanwhile", "% of a core", lambda one: one.cpu_share),
    ]


def sample(plan: Plan) -> Sample:
    """One outage under fresh nodes.

    Raises:
        PagesFailed: a page was cut off, or did not get everything, once and in order.
        ServerFailed: Redis did not come back.
    """
    with (
        ExitStack() as later,  # the Redis that comes back outlives the gateways
        over_redis(plan.scratch, NODES) as system,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        assert system.redis is not None
        server = system.redis.server
        pages = Pages(Page(number, system.port_of(number)) for number in range(PAGES))
        return runner.run(
            outage(system, pages, lambda: later.enter_context(redis.running_redis(server, plan.scratch))),
        )


async def outage(system: System, pages: Pages, start_again: Callable[[], object]) -> Sample:
    """Connect all, take Redis away, bring it back, and see who has what."""
    assert system.redis is not None
    first, second = system.port_of(0), system.port_of(1)
    await pages.come()
    await asyncio.to_thread(knock, first)
    await push_to_each(pages, second, 1)
    await asyncio.sleep(SETTLE_SECONDS)

    system.redis.kill()
    before = system.gateway_seconds()
    knocking = asyncio.create_task(asyncio.to_thread(knock, first))
    await asyncio.sleep(AWAY_SECONDS)
    share = (system.gateway_seconds() - before) / AWAY_SECONDS * 100
    answering = asyncio.create_task(asyncio.to_thread(redis.wait_until_answering, system.redis.server.port))
    await asyncio.to_thread(start_again)
    returned = await answering
    knocked = await knocking
    await pages.until(lambda page: page.offsets["*"] >= knocked.offset, WAIT_SECONDS, "given the next publication")
    check_nobody_was_cut_off(pages)
    all_have_it = max(page.arrived_at for page in pages.all)

    pushing = time.monotonic()
    await push_to_each(pages, second, 2)
    own_pushes = max(page.arrived_at for page in pages.all) - pushing
    check_nobody_was_cut_off(pages)
    accepted = knocked.accepted_at - returned
    failed = (knocked.failed, knocked.slowest_failure)
    return Sample(accepted, all_have_it - returned, own_pushes, *failed, share)


def check_nobody_was_cut_off(pages: Pages) -> None:
    """Look whether all are still there.

    Raises:
        PagesFailed: somebody is not; says with which codes they were sent away, 0 for none.
    """
    gone = Counter(page.code for page in pages.all if page.closed_at or not page.connected)
    if gone:
        codes = ", ".join(f"{times} with {code}" for code, times in gone.most_common())
        raise PagesFailed(f"{gone.total()} of {len(pages.all)} pages were cut off: {codes}")


async def push_to_each(pages: Pages, port: int, offset: int) -> None:
    """Push to every page, until all have theirs, which stands at this offset."""
    await asyncio.to_thread(in_batches, port, [page.user for page in pages.all])
    await pages.until(lambda page: page.offsets[f"#{page.user}"] == offset, WAIT_SECONDS, "given their own push")


def knock(port: int) -> Knocked:
    """Try to broadcast until it is accepted, as an application would."""
    failed, slowest = 0, 0.0
    with our_flow(port) as flow:
        while True:
            began = time.monotonic()
            try:
                receipt = flow.broadcast(TYPE, {})
            except PublishError:
                failed, slowest = failed + 1, max(slowest, time.monotonic() - began)
                time.sleep(PAUSE_SECONDS)
            else:
                return Knocked(receipt.offset, time.monotonic(), failed, slowest)
