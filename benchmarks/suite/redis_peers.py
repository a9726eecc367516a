"""Ours over Redis beside Django Channels with channels_redis and Flask-SocketIO with its Redis queue."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.crowd import CrowdFailed, crowd
from benchmarks.figures import Figure, Target, at_most
from benchmarks.peers import sending
from benchmarks.plan import Plan
from benchmarks.publishing import PAYLOAD_BYTES
from benchmarks.pushing import address
from benchmarks.senders import Program, sender
from benchmarks.servers import peers, redis
from benchmarks.servers.base import Running, running
from benchmarks.servers.gateway import API_KEY, CHANNEL
from benchmarks.servers.over_redis import over_redis
from benchmarks.servers.peers import Peer
from benchmarks.servers.redis import SETTINGS_TOLD
from benchmarks.tools import Unavailable

SUBSCRIBERS = 1000
SENDERS = 32
QUIET_SECONDS = 5.0
WAIT_SECONDS = 180.0
LAYERS = {
    "Channels": "channels_redis.core.RedisChannelLayer",
    "Channels, Pub/Sub layer": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
METHOD = (
    f"{SUBSCRIBERS} WebSocket subscribers of one channel, group or room at one server process, over a fresh "
    f"{SETTINGS_TOLD}, the same for all. One process, warm, sends texts of {PAYLOAD_BYTES} bytes as fast as it can, "
    f"{SENDERS} sends under way: ours by AsyncFlow.publish through the gateway, which answers with a receipt, and by "
    "the same without a gateway; Channels by group_send of its layer, to uvicorn; Flask-SocketIO by emit of its "
    "write-only object, to gevent. All but the first write to Redis themselves. Accepted: sends that returned, by the "
    "time they took. Deliveries: between the first and the last, by the time between; what has not come "
    f"{QUIET_SECONDS:.0f} s after the last that came is lost. Server CPU is that of the process that serves the "
    "subscribers, ours with the HTTP requests."
)


class Sample(NamedTuple):
    """One run: sends and deliveries a second; µs of CPU, of the server a delivery, of others a text; percent lost."""

    accepted: float
    delivered: float
    server_us: float
    redis_us: float
    client_us: float
    lost: float


def run(plan: Plan) -> list[Figure]:
    """Measure; ours alone when the peers cannot be had."""
    sides: dict[str, Callable[[], Sample]] = {
        "ours": lambda: ours(plan),
        "ours, without a gateway": lambda: ours(plan, straight=True),
    }
    try:
        peers.python()
    except Unavailable as error:
        plan.say(f"  {error}")
    else:
        for name, layer in LAYERS.items():
            sides[name] = partial(theirs, plan, partial(peers.channels, layer=layer))
        sides["Flask-SocketIO"] = partial(theirs, plan, peers.flask_socketio)
    own, *others = plan.alternate(plan.of(short=2, full=3), **sides)
    names = list(sides)[1:]
    return [figure for name, samples in zip(names, others, strict=True) for figure in beside(own, name, samples)]


def beside(own: tuple[Sample, ...], name: str, others: tuple[Sample, ...]) -> list[Figure]:
    """Ours beside one peer."""

    def figure(what: str, unit: str, value: Callable[[Sample], float], *targets: Target) -> Figure:
        what = f"over Redis, {SENDERS} senders: {what}"
        return Figure(what, unit, tuple(map(value, own)), name, tuple(map(value, others)), targets)

    return [
        figure("accepted", "/s", lambda one: one.accepted),
        figure("deliveries", "/s", lambda one: one.delivered),
        figure("server CPU per delivery", "µs", lambda one: one.server_us),
        figure("Redis' CPU per text", "µs", lambda one: one.redis_us),
        figure("sender's CPU per text", "µs", lambda one: one.client_us),
        figure("deliveries lost", "%", lambda one: one.lost, at_most(0)),
    ]


def ours(plan: Plan, *, straight: bool = False) -> Sample:
    """One run of ours; `straight` sends into Redis, as the peers do.

    Raises:
        ServerFailed: the sender failed.
        CrowdFailed: a subscriber was cut off, or got something twice.
    """
    with over_redis(plan.scratch) as system:
        assert system.redis is not None
        url = system.redis_url if straight else address(system.server.port)
        told = {sending.FLOW_URL: url, sending.API_KEY: API_KEY, sending.CHANNEL: CHANNEL}
        program = Program("messageflow_sender", sys.executable, told)
        return sample(plan, system.gateways[0], system.redis, program)


def theirs(plan: Plan, make: Callable[[str], Peer]) -> Sample:
    """One run of a peer.

    Raises:
        ServerFailed: it did not start, or its sender failed.
        CrowdFailed: a subscriber was cut off, or got something twice.
    """
    server = redis.redis(plan.scratch)
    peer = make(redis.url(server))
    with redis.running_redis(server, plan.scratch) as stored, running(peer.server, plan.scratch) as process:
        return sample(plan, process, stored, peer.sender)


def sample(plan: Plan, server: Running, stored: Running, program: Program) -> Sample:
    """One run of whoever it is: `stored` is its Redis, `program` sends."""
    texts = plan.of(short=120, full=500)
    expected = SUBSCRIBERS * texts
    with (
        crowd(server.server, SUBSCRIBERS, plan.scratch, expect=expected, quiet=QUIET_SECONDS) as subscribers,
        sender(program, texts, SENDERS) as warm,
    ):
        before, before_redis = server.cpu_seconds(), stored.cpu_seconds()
        sent = warm.send()
        received = subscribers.wait(WAIT_SECONDS)
        used, used_redis = server.cpu_seconds() - before, stored.cpu_seconds() - before_redis
    if received.most > texts:
        raise CrowdFailed(f"{texts} were sent, but {received}")
    return Sample(
        accepted=texts / sent.seconds,
        delivered=received.per_second,
        server_us=used / received.publications * 1e6,
        redis_us=used_redis / texts * 1e6,
        client_us=sent.cpu_seconds / texts * 1e6,
        lost=(1 - received.publications / expected) * 100,
    )
