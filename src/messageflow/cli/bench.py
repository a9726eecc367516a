"""`messageflow bench`: a quick look at a running gateway from where you are, in figures.

Bounded in everything it does, and no benchmark: what it measures includes itself. For those see benchmarks/.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from messageflow.cli.parameters import URL

if TYPE_CHECKING:
    from messageflow import Flow

CHANNEL = "messageflow-bench"
_PAUSE = 0.005
_PATIENCE = 30.0


class Latencies(NamedTuple):
    """How long publications took to all subscribers, in seconds."""

    median: float
    p99: float
    number: int


@click.command(name="bench")
@click.option("--pushes", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Pushes one by one.")
@click.option("--batch", type=click.IntRange(1, 1000), default=500, show_default=True, help="Pushes in one batch.")
@click.option("--subscribers", type=click.IntRange(1, 1000), default=100, show_default=True, help="Event streams.")
@click.option("--publications", type=click.IntRange(1, 10_000), default=200, show_default=True, help="To each of them.")
@URL
def command(pushes: int, batch: int, subscribers: int, publications: int, url: str | None) -> None:
    """Measure a running gateway: pushes per second, and how long a publication takes to many event streams."""
    from messageflow import Flow

    user = f"bench-{os.getpid()}"
    with Flow(url) as flow:
        rows = [
            (f"push, one after the other, {pushes:,}", f"{push_one_by_one(flow, user, pushes):,.0f} /s"),
            (f"push, in batches of {batch}", f"{push_in_batches(flow, user, pushes, batch):,.0f} /s"),
        ]
        found = asyncio.run(_measure_latencies(flow, user, subscribers, publications))
    rows += [
        (f"delivery to {subscribers} event streams, median", f"{found.median * 1000:.2f} ms"),
        (f"delivery to {subscribers} event streams, p99", f"{found.p99 * 1000:.2f} ms"),
        ("publications delivered", f"{found.number:,}"),
    ]
    _print(rows)


def push_one_by_one(flow: Flow, user: str, count: int) -> float:
    """Return pushes per second, each waiting for its receipt."""
    flow.push(user, "bench/push")  # the first one opens the connection
    begun = time.perf_counter()
    for number in range(count):
        flow.push(user, "bench/push", number)
    return count / (time.perf_counter() - begun)


def push_in_batches(flow: Flow, user: str, count: int, size: int) -> float:
    """Return pushes per second, `size` to a request."""
    begun = time.perf_counter()
    batches = max(1, count // size)
    for _ in range(batches):
        with flow.batch() as batch:
            for number in range(size):
                batch.push(user, "bench/batch", number)
    return batches * size / (time.perf_counter() - begun)


def summarize(seconds: Sequence[float]) -> Latencies:
    """Return the figures of a run. Expects at least one measurement."""
    ordered = sorted(seconds)
    return Latencies(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], len(ordered))


async def _measure_latencies(flow: Flow, user: str, subscribers: int, publications: int) -> Latencies:
    from messageflow.cli.listen_protocol import Accepted, Arrived, Event
    from messageflow.cli.subscriber import Subscriber

    seconds: list[float] = []
    ready = asyncio.Semaphore(0)

    def listener(number: int) -> Subscriber:
        left = publications

        def heard(event: Event) -> bool:
            nonlocal left
            if isinstance(event, Accepted):
                ready.release()
            elif isinstance(event, Arrived) and event.channel == CHANNEL:
                seconds.append(time.perf_counter() - float(bytes(event.data)))
                left -= 1
            return left > 0

        return Subscriber(flow.url, lambda: flow.token(f"{user}-{number}", channels=[CHANNEL]), heard)

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as tasks:
        for number in range(subscribers):
            tasks.create_task(listener(number).run())
        for _ in range(subscribers):
            await ready.acquire()
        for _ in range(publications):
            await asyncio.to_thread(flow.publish, CHANNEL, time.perf_counter())
            await asyncio.sleep(_PAUSE)
    return summarize(seconds)


def _print(rows: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right", style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
