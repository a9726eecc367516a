"""The cost model: what each kind of work takes of each resource, all of it added up.

Pure arithmetic over values. Owns the kinds of work and the resources; never measures, and knows no site and no file.
How often positions are compared is the gateway's own constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from messageflow.brokers.redis.streams.position_monitor import CHECK_EVERY, CHECKS_A_SECOND


class Unit(StrEnum):
    """A kind of work, counted one by one."""

    CONNECT = "connect"  # upgrade, token, `#user` and `*`
    SUBSCRIBE = "subscribe"  # one more channel of a connection
    OPEN = "open"  # the first subscription to a channel at a node, beside SUBSCRIBE
    LEAVE = "leave"  # one connection that goes
    RESUME = "resume"  # one channel that comes back with a position, beside CONNECT or SUBSCRIBE
    MISSED = "missed"  # one publication that a connection gets as it comes back
    PUBLISH = "publish"  # one publication over HTTP, stored and answered, by itself
    PUBLISH_JOINED = "publish_joined"  # the same among many at once
    HEAR = "hear"  # one publication announced to one node that has a subscriber
    HEAR_JOINED = "hear_joined"  # the same among many at once
    DELIVER = "deliver"  # one publication written to one connection by itself
    DELIVER_JOINED = "deliver_joined"  # the same, written together with others
    PING = "ping"  # one ping of one connection, and its answer
    CHECK = "check"  # one channel of one node whose position is compared with Redis
    GROW = "grow"  # a node has its first crowd
    NODE_SECOND = "node_second"  # one second of one node that has nothing to do
    REFUSE = "refuse"  # one connection answered 503 and closed


class Resource(StrEnum):
    """What work takes; of all gateways together, and of all servers of Redis together."""

    CPU = "cpu"  # microseconds
    MEMORY = "memory"  # resident bytes that stay
    REDIS_CPU = "redis_cpu"  # microseconds
    REDIS_COMMANDS = "redis_commands"  # those inside scripts counted, as Redis counts them
    REDIS_IN = "redis_in"  # bytes Redis receives
    REDIS_OUT = "redis_out"  # bytes Redis sends
    REDIS_MEMORY = "redis_memory"  # bytes that stay


Counts = Mapping[Unit, float]
Costs = Mapping[Resource, Mapping[Unit, float]]
Usage = Mapping[Resource, float]

# What stays in memory: work that is done and gone takes none. A stored publication stays in Redis for its history. What
# going takes, all at once and for the moment, the process keeps.
KEPT_BY: Mapping[Resource, tuple[Unit, ...]] = {
    Resource.MEMORY: (Unit.CONNECT, Unit.SUBSCRIBE, Unit.OPEN, Unit.RESUME, Unit.LEAVE, Unit.GROW),
    Resource.REDIS_MEMORY: (Unit.CONNECT, Unit.OPEN, Unit.PUBLISH),
}
# Redis never hears of these.
LOCAL = (Unit.GROW, Unit.SUBSCRIBE, Unit.DELIVER, Unit.DELIVER_JOINED, Unit.PING, Unit.REFUSE)


def takers(resource: Resource) -> tuple[Unit, ...]:
    """Return the kinds of work that can take of a resource."""
    if resource in KEPT_BY:
        return KEPT_BY[resource]
    if resource is Resource.CPU:
        return tuple(unit for unit in Unit if unit is not Unit.GROW)
    return tuple(unit for unit in Unit if unit not in LOCAL)


def checks_a_second(channels: float) -> float:
    """Return how many positions a node compares a second: every channel every five, and never more than a bound."""
    most: float = CHECKS_A_SECOND
    return min(channels / CHECK_EVERY, most)


def add(*all_counts: Counts) -> dict[Unit, float]:
    """Return several amounts of work together."""
    total: dict[Unit, float] = {}
    for counts in all_counts:
        for unit, count in counts.items():
            total[unit] = total.get(unit, 0.0) + count
    return total


def predict(costs: Costs, counts: Counts) -> dict[Resource, float]:
    """Return what this work takes, of each resource for which costs are known."""
    return {
        resource: sum(each.get(unit, 0.0) * count for unit, count in counts.items()) for resource, each in costs.items()
    }


def reconnect(channels: int, missed: float) -> dict[Unit, float]:
    """Return the work of one connection that comes back with positions.

    Args:
        channels: that it holds beside `#user` and `*`.
        missed: publications that it missed, over all of them.
    """
    return {Unit.CONNECT: 1, Unit.SUBSCRIBE: channels, Unit.RESUME: channels + 2, Unit.MISSED: missed}


def nodes_reached(subscribers: float, nodes: int) -> float:
    """Return how many nodes have a subscriber of a channel, on average, when connections lie on nodes by chance."""
    none: float = (1 - 1 / nodes) ** subscribers
    return nodes * (1 - none)
