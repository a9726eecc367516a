"""Our channel layer beside channels_redis: what consumers of Django Channels receive of a group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import msgspec

from benchmarks.figures import Figure, Target, at_least_times_peer, at_most
from benchmarks.peers.sending import LAYER, REDIS_URL
from benchmarks.plan import Plan
from benchmarks.pushing import address
from benchmarks.senders import ROOT, Program, sender
from benchmarks.servers import peers, redis
from benchmarks.servers.base import Running, ServerFailed, running
from benchmarks.servers.gateway import API_KEY, TOKEN_SECRET, gateway
from benchmarks.servers.redis import SETTINGS_TOLD
from benchmarks.tools import Unavailable

PROCESSES = 2
CONSUMERS = 500  # of each process
SENDERS = 32
WAIT_SECONDS = 300.0
OURS = "messageflow.integrations.channels.MessageflowChannelLayer"
THEIRS = "channels_redis.core.RedisChannelLayer"
METHOD = (
    f"{PROCESSES} processes with {CONSUMERS} channels each in one group receive, as consumers do, what a third sends "
    f"to it by group_send, {SENDERS} under way, by Channels' own API alone. Ours over a durable gateway of one worker; "
    f"channels_redis over {SETTINGS_TOLD}. Deliveries: from the first to the last of all processes; lost: what had not "
    "come 5 s after the last that came. CPU is that of all processes together, the gateway's or Redis' as well, a "
    "delivery."
)


class Sample(NamedTuple):
    """One run: deliveries a second, percent lost, µs of CPU a delivery."""

    delivered: float
    lost: float
    cpu_us: float


class Came(msgspec.Struct, frozen=True):
    """What a receiver says at its end."""

    received: int
    first: float
    last: float
    cpu_seconds: float


def run(plan: Plan) -> list[Figure]:
    """Measure; ours alone when the peer cannot be had."""
    sides: dict[str, Callable[[], Sample]] = {"ours": lambda: ours(plan)}
    try:
        peers.python()
    except Unavailable as error:
        plan.say(f"  {error}")
    else:
        sides["channels_redis"] = lambda: theirs(plan)
    own, *others = plan.alternate(**sides)
    (other,) = others or ((),)

    def figure(what: str, unit: str, value: Callable[[Sample], float], *targets: Target) -> Figure:
        name = "channels_redis" if other else ""
        return Figure(f"channel layer: {what}", unit, tuple(map(value, own)), name, tuple(map(value, other)), targets)

    return [
        figure("deliveries", "/s", lambda one: one.delivered, *([at_least_times_peer(20)] if other else [])),
        figure("deliveries lost", "%", lambda one: one.lost, at_most(0)),
        figure("CPU of all processes per delivery", "µs", lambda one: one.cpu_us),
    ]


def ours(plan: Plan) -> Sample:
    """One run over a gateway."""
    server = gateway(plan.scratch)
    keys = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
    told = {**keys, "MESSAGEFLOW_URL": address(server.port), LAYER: OURS, REDIS_URL: ""}
    with running(server, plan.scratch) as process:
        return sample(process, sys.executable, told, plan.of(short=1000, full=5000))


def theirs(plan: Plan) -> Sample:
    """One run over a Redis."""
    server = redis.redis(plan.scratch)
    with redis.running_redis(server, plan.scratch) as process:
        told = peers.variables(redis.url(server), {LAYER: THEIRS})
        return sample(process, str(peers.python()), told, plan.of(short=60, full=200))


def sample(stored: Running, python: str, told: Mapping[str, str], texts: int) -> Sample:
    """One run of whoever it is.

    Raises:
        ServerFailed: a process failed.
    """
    with ExitStack() as stack:
        warm = stack.enter_context(sender(Program("channels_sender", python, told), texts, SENDERS))
        receivers = [stack.enter_context(receiver(python, told, texts)) for _ in range(PROCESSES)]
        for each in receivers:  # at once: channels_redis fails where nothing comes for the 5 s that redis waits
            wait_until_ready(each)
        before = stored.cpu_seconds()
        sent = warm.send()
        came = [read(each) for each in receivers]
        used = stored.cpu_seconds() - before + sent.cpu_seconds + sum(each.cpu_seconds for each in came)
    received = sum(each.received for each in came)
    seconds = max(each.last for each in came) - min(each.first for each in came)
    lost = 1 - received / (texts * PROCESSES * CONSUMERS)
    return Sample(received / seconds, lost * 100, used / received * 1e6)


@contextmanager
def receiver(python: str, told: Mapping[str, str], texts: int) -> Iterator[subprocess.Popen[str]]:
    """Start a receiver, and end it afterwards."""
    process = subprocess.Popen(
        (python, "-m", "benchmarks.peers.channels_receiver", str(texts), str(CONSUMERS)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **told},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until all channels of a receiver are in the group.

    Raises:
        ServerFailed: it ended before.
    """
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise ServerFailed(f"a receiver did not get ready:\n{process.communicate()[1][-1500:]}")


def read(process: subprocess.Popen[str]) -> Came:
    """Return what a receiver says at its end.

    Raises:
        ServerFailed: it says nothing.
    """
    try:
        output, errors = process.communicate(timeout=WAIT_SECONDS)
        return msgspec.json.decode(output, type=Came)
    except subprocess.TimeoutExpired:
        raise ServerFailed(f"a receiver had not ended after {WAIT_SECONDS:.0f} s") from None
    except msgspec.DecodeError:
        raise ServerFailed(f"a receiver failed:\n{errors[-1500:]}") from None
