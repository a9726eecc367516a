"""The tables of docs/scale.md: made of the committed costs and storms, and put where the page has room for them.

Pure: records in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.report import number
from benchmarks.scale.experiments import EMBEDDED, OVER_REDIS
from benchmarks.scale.fitting import error_of
from benchmarks.scale.model import Costs, Resource, Unit
from benchmarks.scale.records import Check, Measured, StormRecord, Storms
from benchmarks.scale.site import Needs, Site, needs_of, publications_a_second

ROOM = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- /made -->)", re.DOTALL)
PROMISED = 0.2  # how far a prediction may be off
WORDS: Mapping[Unit, str] = {
    Unit.CONNECT: "a connection comes: upgrade, token, `#user`, `*`",
    Unit.SUBSCRIBE: "one more channel of it",
    Unit.OPEN: "the first subscription to a channel at a node, beside that",
    Unit.LEAVE: "a connection goes",
    Unit.RESUME: "a channel that comes back with a position, beside that",
    Unit.MISSED: "a missed publication that it gets then",
    Unit.PUBLISH: "a publication over HTTP, by itself",
    Unit.PUBLISH_JOINED: "the same, 32 at once",
    Unit.HEAR: "a node hears a publication",
    Unit.HEAR_JOINED: "the same, 32 at once",
    Unit.DELIVER: "a delivery to one connection, by itself",
    Unit.DELIVER_JOINED: "the same, 32 at once",
    Unit.PING: "a ping and its answer",
    Unit.CHECK: "the position of a channel compared with Redis",
    Unit.GROW: "a node has its first crowd",
    Unit.NODE_SECOND: "a second of a node with nothing to do",
    Unit.REFUSE: "a connection is refused (503)",
}
MEMORY_WORDS = {Unit.LEAVE: "a connection goes with all others: what that takes for the moment stays"}
MEMORY_ROWS = (Unit.CONNECT, Unit.SUBSCRIBE, Unit.OPEN, Unit.RESUME, Unit.LEAVE, Unit.GROW, Unit.PUBLISH)
RESOURCE_WORDS = {
    "cpu": "CPU of gateways",
    "memory": "memory of gateways",
    "redis_cpu": "CPU of Redis",
    "redis_commands": "commands of Redis",
    "redis_out": "bytes from Redis",
}
SITES = {
    "10,000 connections, 1,000 channels": Site(10_000, 1_000, 2, 50, 50, 0.1),
    "100,000 connections, 10,000 channels": Site(100_000, 10_000, 2, 300, 500, 0.1),
    "1,000,000 connections, 100,000 channels": Site(1_000_000, 100_000, 2, 2_000, 5_000, 0.1),
    "the same, no channels beside `#user` and `*`": Site(1_000_000, 0, 0, 2_000, 0, 0.1),
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine_of(measured: Measured, _: Storms) -> str:
    """Where the costs come from."""
    facts = "; ".join(f"{name} {value}" for name, value in measured.machine.items())
    made = f"Measured on {measured.when}, {medians_of(measured.rounds)}: {facts}; load {measured.load}."
    if (memory := measured.memory) is not None:
        made += f" Memory of gateways on {memory.when}, {medians_of(memory.rounds)}; load {memory.load}."
    return f"{made}\n"


def medians_of(rounds: int) -> str:
    """What the figures are."""
    return f"medians of {rounds} rounds" if rounds > 1 else "one round"


def costs_table(measured: Measured, _: Storms) -> str:
    """What each kind of work costs."""
    alone, redis = measured.costs_of(EMBEDDED), measured.costs_of(OVER_REDIS)
    head = [
        "one of",
        "gateway, µs",
        "over Redis: gateway, µs",
        "Redis, µs",
        "Redis, commands",
        "bytes to it",
        "from it",
    ]
    rows = []
    for unit, words in WORDS.items():
        if unit is Unit.GROW:
            continue
        cells = [cell(alone, Resource.CPU, unit)]
        cells += [cell(redis, each, unit) for each in (Resource.CPU, Resource.REDIS_CPU, Resource.REDIS_COMMANDS)]
        cells += [cell(redis, each, unit) for each in (Resource.REDIS_IN, Resource.REDIS_OUT)]
        rows.append([words, *cells])
    return table(head, rows)


def memory_table(measured: Measured, _: Storms) -> str:
    """What stays in memory."""
    alone, redis = measured.costs_of(EMBEDDED), measured.costs_of(OVER_REDIS)
    rows = [
        [
            MEMORY_WORDS.get(unit, WORDS[unit]),
            cell(alone, Resource.MEMORY, unit),
            cell(redis, Resource.MEMORY, unit),
            cell(redis, Resource.REDIS_MEMORY, unit),
        ]
        for unit in MEMORY_ROWS
    ]
    return table(["one of", "gateway, bytes", "over Redis: gateway, bytes", "Redis, bytes"], rows)


def cell(costs: Costs, resource: Resource, unit: Unit) -> str:
    """A cost; a dash where there is none."""
    cost = costs.get(resource, {}).get(unit, 0.0)
    return number(cost) if cost else "–"


def checks_table(measured: Measured, _: Storms) -> str:
    """How well the model predicts."""
    rows = [
        [
            f"{check.run}, {check.setup}",
            RESOURCE_WORDS[check.resource],
            amount(check.resource, check.predicted),
            amount(check.resource, check.measured),
            off_by(check),
        ]
        for check in measured.checks
    ]
    return table(["run", "of", "predicted", "measured", "off by"], rows)


def off_by(check: Check) -> str:
    """How far a prediction is off, said loudly beyond what is promised."""
    error = error_of(check.predicted, check.measured)
    return f"{error:+.0%}" if abs(error) <= PROMISED else f"**{error:+.0%}**"


def amount(resource: str, value: float) -> str:
    """A quantity with its unit."""
    if resource.endswith("cpu"):
        return f"{value / 1e6:.2f} s"
    return f"{value / 2**20:.1f} MiB" if resource == "memory" or resource.endswith("out") else f"{value:,.0f}"


def sites_table(measured: Measured, _: Storms) -> str:
    """What sites need."""
    costs = measured.costs_of(OVER_REDIS)
    needs = {name: needs_of(site, costs) for name, site in SITES.items()}
    lines: list[tuple[str, Callable[[Needs], str]]] = [
        ("gateways of one worker", lambda one: f"{one.nodes}"),
        ("their CPU, cores", lambda one: f"{one.cores:.1f}"),
        ("their memory, GiB", lambda one: f"{one.memory / 2**30:.1f}"),
        ("Redis, cores", lambda one: f"{one.redis_cores:.2f}"),
        ("of that, comparing positions", lambda one: f"{one.checks_share:.0%}"),
        ("Redis, commands a second", lambda one: f"{one.redis_commands:,.0f}"),
        ("to Redis, MiB/s", lambda one: f"{one.redis_in / 2**20:.1f}"),
        ("from Redis, MiB/s", lambda one: f"{one.redis_out / 2**20:.1f}"),
        ("Redis, memory without histories, GiB", lambda one: f"{one.redis_memory / 2**30:.1f}"),
        ("servers of Redis, an ordinary day", lambda one: f"{one.shards}"),
        ("servers of Redis, all back in 30 s", lambda one: f"{one.storm_shards}"),
        ("`arrivals_limit` then", lambda one: f"{one.arrivals_limit:,}"),
    ]
    return table(["", *needs], [[what, *(show(one) for one in needs.values())] for what, show in lines])


def redis_table(measured: Measured, _: Storms) -> str:
    """How much one server of Redis carries."""
    costs = measured.costs_of(OVER_REDIS)
    rows = [
        [
            f"{nodes}",
            f"{publications_a_second(costs, nodes, joined=False):,.0f}",
            f"{publications_a_second(costs, nodes, joined=True):,.0f}",
        ]
        for nodes in (1, 2, 10, 50)
    ]
    return table(["nodes that hear each", "publications a second, one at a time", "32 at once"], rows)


def storms_table(_: Measured, storms: Storms) -> str:
    """What storms came to."""
    head = [
        "storm",
        "clients",
        "nodes",
        "Redis",
        "`arrivals_limit`",
        "cap",
        "50 %",
        "90 %",
        "99 %",
        "all",
        "attempts each",
        "refused/s, peak",
        "given up",
        "Redis busy",
    ]
    rows = [storm_row(each) for each in storms.storms]
    costs = f"A reconnect costs a gateway {storms.gateway_us:,.0f} µs here, and Redis {storms.redis_us:,.0f} µs.\n\n"
    return costs + table(head, rows)


def storm_row(storm: StormRecord) -> list[str]:
    """One storm."""
    until = [
        f"{storm.seconds_until[each]:.0f} s" if each in storm.seconds_until else "never" for each in (50, 90, 99, 100)
    ]
    return [
        storm.what,
        f"{storm.clients:,}",
        f"{storm.nodes}",
        f"{storm.shards}",
        f"{storm.arrivals_limit:,}",
        f"{storm.longest_s:.0f} s",
        *until,
        f"{storm.attempts / storm.clients:.1f}",
        f"{storm.peak_refused:,}",
        f"{storm.given_up:,}",
        f"{storm.redis_share:.0%}",
    ]


MADE: Mapping[str, Callable[[Measured, Storms], str]] = {
    "machine": machine_of,
    "costs": costs_table,
    "memory": memory_table,
    "checks": checks_table,
    "sites": sites_table,
    "redis": redis_table,
    "storms": storms_table,
}


def fill(page: str, measured: Measured, storms: Storms) -> str:
    """Return the page with every table made anew."""
    return ROOM.sub(lambda room: f"{room[1]}{MADE[room[2]](measured, storms)}{room[3]}", page)
