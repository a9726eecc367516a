"""The storms that docs/scale.md tells of: 1,000,000 clients over 50 nodes, and what settings do to a tenth of them.

A tenth of the clients over a tenth of the nodes, with a Redis a tenth as fast, is the same storm in small.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace

from benchmarks.scale.clients import OFFICIAL, PROGRAM
from benchmarks.scale.experiments import OVER_REDIS
from benchmarks.scale.page import SITES
from benchmarks.scale.records import Measured, StormRecord, Storms
from benchmarks.scale.site import BACK_WITHIN, PLANNED_SHARE, STORM_SHARE, arrivals_limit, step_costs
from benchmarks.scale.storm import Storm, StormResult, simulate

SITE = "1,000,000 connections, 100,000 channels"
CLIENTS, NODES, SMALLER = 1_000_000, 50, 10


def storms_of(measured: Measured, *, short: bool, say: Callable[[str], None]) -> Storms:
    """Simulate all of them.

    Args:
        measured: the costs.
        short: leave the largest out.
        say: takes a line about each.
    """
    steps = step_costs(measured.costs_of(OVER_REDIS), SITES[SITE], NODES)
    enough = max(1, -int(-CLIENTS * steps.redis // (BACK_WITHIN * PLANNED_SHARE)))
    limit = arrivals_limit(steps, NODES, enough)
    small = Storm(
        CLIENTS // SMALLER,
        NODES // SMALLER,
        replace(steps, redis=steps.redis * SMALLER),
        enough,
        limit,
        share=STORM_SHARE,
    )
    one = arrivals_limit(steps, NODES, 1)
    planned = [
        ("as planned", small),
        ("`arrivals_limit` as shipped", replace(small, arrivals_limit=5_000)),
        ("one Redis, `arrivals_limit` for it", replace(small, shards=1, arrivals_limit=one)),
        ("one Redis, as shipped", replace(small, shards=1, arrivals_limit=5_000)),
        ("cap of 5 s", replace(small, longest_ms=5_000)),
        ("cap of 60 s", replace(small, longest_ms=60_000)),
        ("official SDK", replace(small, client=OFFICIAL)),
        ("program that reads Retry-After", replace(small, client=PROGRAM)),
    ]
    if not short:
        whole = replace(small, clients=CLIENTS, nodes=NODES, costs=steps)
        planned.insert(0, ("**1,000,000 over 50 nodes**, as planned", whole))
    records = []
    for what, storm in planned:
        began = time.monotonic()
        records.append(record(what, storm, without_collections(storm)))
        say(f"  {what}: {records[-1].seconds_until} ({time.monotonic() - began:.0f} s)")
    return Storms(round((steps.handshake + steps.connect) * 1e6, 1), round(steps.redis * 1e6, 1), records)


def without_collections(storm: Storm) -> StormResult:
    """Simulate, without looking for garbage among millions of events again and again."""
    gc.collect()
    gc.disable()
    try:
        return simulate(storm)
    finally:
        gc.enable()


def record(what: str, storm: Storm, result: StormResult) -> StormRecord:
    """A storm as it is committed."""
    return StormRecord(
        what=what,
        clients=storm.clients,
        nodes=storm.nodes,
        shards=storm.shards,
        arrivals_limit=storm.arrivals_limit,
        longest_s=storm.longest_ms / 1000,
        client=storm.client.name,
        back=result.back,
        seconds_until={percent: round(at, 1) for percent, at in result.seconds_until.items()},
        attempts=result.attempts,
        peak_refused=result.peak_refused,
        most_arriving=result.most_arriving,
        given_up=result.given_up,
        redis_share=round(result.redis_share, 3),
    )
