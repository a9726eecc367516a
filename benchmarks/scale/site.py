"""What a site of a given size needs, by the cost model: gateways, memory, Redis.

Pure arithmetic over costs. Owns the shares of a core that are planned with; never measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from benchmarks.scale.clients import BROWSER
from benchmarks.scale.model import Costs, Counts, Resource, Unit, checks_a_second, nodes_reached, predict, reconnect
from benchmarks.scale.storm import StepCosts

PLANNED_SHARE = 0.6  # of a core, of a gateway or of Redis, on an ordinary day
STORM_SHARE = 0.8  # of a core of a gateway, while all come back
CONNECTIONS_A_NODE = 20_000  # at most: one thread must take them back
PING_INTERVAL = 15.0  # seconds, as shipped
BACK_WITHIN = 30.0  # seconds in which all should be back
MISSED = 2.0  # publications by a connection that comes back


@dataclass(frozen=True, slots=True)
class Site:
    """Who is connected, and what is published.

    Args:
        connections: at once.
        channels: that they share, beside `#user` of each and `*`.
        channels_each: of them that one connection holds.
        pushes: a second, each to one connection.
        publications: a second, in one of the channels each.
        broadcasts: a second, to all.
        life: seconds that a connection lasts.
    """

    connections: int
    channels: int
    channels_each: int = 2
    pushes: float = 0.0
    publications: float = 0.0
    broadcasts: float = 0.0
    life: float = 1_800.0

    @property
    def subscribers(self) -> float:
        """How many connections hold a channel, on average."""
        return self.connections * self.channels_each / self.channels if self.channels else 0.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a site takes.

    Attributes:
        nodes: gateways of one worker each.
        cores: of all gateways, on an ordinary day.
        memory: bytes of all gateways.
        redis_cores: of all servers of Redis.
        redis_commands: a second.
        redis_in: bytes a second to Redis.
        redis_out: bytes a second from Redis.
        redis_memory: bytes, without what histories hold.
        checks_share: of Redis' CPU that goes into comparing positions.
        shards: servers of Redis for an ordinary day.
        storm_shards: servers of Redis to take all back within BACK_WITHIN.
        arrivals_limit: the setting of each node with so many servers as `storm_shards`.
    """

    nodes: int
    cores: float
    memory: float
    redis_cores: float
    redis_commands: float
    redis_in: float
    redis_out: float
    redis_memory: float
    checks_share: float
    shards: int
    storm_shards: int
    arrivals_limit: int


def second_of(site: Site, nodes: int) -> Counts:
    """Return the work of one second."""
    channels = site.connections / nodes + opened(site, nodes) + 1
    heard = nodes_reached(site.subscribers, nodes) * site.publications + site.pushes + nodes * site.broadcasts
    came = site.connections / site.life
    return {
        Unit.CONNECT: came,
        Unit.SUBSCRIBE: came * site.channels_each,
        Unit.RESUME: came * (site.channels_each + 2),
        Unit.LEAVE: came,
        Unit.PUBLISH: site.pushes + site.publications + site.broadcasts,
        Unit.HEAR: heard,
        Unit.DELIVER: site.pushes + site.publications * site.subscribers + site.broadcasts * site.connections,
        Unit.PING: site.connections / PING_INTERVAL,
        Unit.CHECK: nodes * checks_a_second(channels),
        Unit.NODE_SECOND: nodes,
    }


def opened(site: Site, nodes: int) -> float:
    """Return how many of the shared channels a node has open, on average."""
    return site.channels * nodes_reached(site.subscribers, nodes) / nodes


def kept_of(site: Site, nodes: int) -> Counts:
    """Return the work whose memory stays, once all have gone at once and come back.

    What they come back with has room in what going took for the moment, which is more.
    """
    return {
        Unit.CONNECT: site.connections,
        Unit.SUBSCRIBE: site.connections * site.channels_each,
        Unit.OPEN: opened(site, nodes) * nodes,
        Unit.LEAVE: site.connections,
        Unit.GROW: nodes,
    }


def needs_of(site: Site, costs: Costs) -> Needs:
    """Return what a site needs over Redis, with as few gateways as will do."""
    nodes = max(1, ceil(site.connections / CONNECTIONS_A_NODE))
    while (used := predict(costs, second_of(site, nodes)))[Resource.CPU] / 1e6 > nodes * PLANNED_SHARE:
        nodes = ceil(nodes * 1.05) + 1
    kept = predict(costs, kept_of(site, nodes))
    checks = costs[Resource.REDIS_CPU].get(Unit.CHECK, 0.0) * second_of(site, nodes)[Unit.CHECK]
    steps = step_costs(costs, site, nodes)
    storm_shards = max(1, ceil(site.connections * steps.redis / BACK_WITHIN / PLANNED_SHARE))
    redis_cores = used[Resource.REDIS_CPU] / 1e6
    return Needs(
        nodes=nodes,
        cores=used[Resource.CPU] / 1e6,
        memory=kept[Resource.MEMORY],
        redis_cores=redis_cores,
        redis_commands=used[Resource.REDIS_COMMANDS],
        redis_in=used[Resource.REDIS_IN],
        redis_out=used[Resource.REDIS_OUT],
        redis_memory=kept[Resource.REDIS_MEMORY],
        checks_share=checks / used[Resource.REDIS_CPU],
        shards=max(1, ceil(redis_cores / PLANNED_SHARE)),
        storm_shards=storm_shards,
        arrivals_limit=arrivals_limit(steps, nodes, storm_shards),
    )


def step_costs(costs: Costs, site: Site, nodes: int) -> StepCosts:
    """Return what the steps of one reconnect cost, in seconds; a handshake costs as one that is refused.

    After a storm every channel is opened anew at every node: its share of that is in the cost of each.
    """
    back = {**reconnect(site.channels_each, MISSED), Unit.OPEN: opened(site, nodes) * nodes / site.connections}
    shaken = costs[Resource.CPU][Unit.REFUSE] / 1e6
    whole = predict(costs, back)
    redis = whole.get(Resource.REDIS_CPU, 0.0) / 1e6
    return StepCosts(shaken, shaken, max(0.0, whole[Resource.CPU] / 1e6 - shaken), redis)


def arrivals_limit(steps: StepCosts, nodes: int, shards: int) -> int:
    """Return how many may be coming in at a node so that none waits longer than half of a client's patience.

    Those coming in wait for their node's thread, and those of all nodes together for Redis.
    """
    patience = BROWSER.patience / 2
    by_node = patience * STORM_SHARE / (steps.handshake + steps.connect)
    by_redis = patience * shards / (nodes * steps.redis) if steps.redis else by_node
    return max(20, int(min(by_node, by_redis, 5_000)) // 10 * 10)


def publications_a_second(costs: Costs, nodes: float, *, joined: bool) -> float:
    """Return how many publications a second one server of Redis carries, heard by so many nodes each."""
    redis = costs[Resource.REDIS_CPU]
    publish, hear = (Unit.PUBLISH_JOINED, Unit.HEAR_JOINED) if joined else (Unit.PUBLISH, Unit.HEAR)
    return PLANNED_SHARE * 1e6 / (redis.get(publish, 0.0) + nodes * redis.get(hear, 0.0))
