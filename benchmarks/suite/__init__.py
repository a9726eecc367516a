"""The benchmarks, by the name they are called with, in the order of DESIGN.md §7.

Each is a module with a METHOD (how it measures, in one paragraph) and a `run(plan)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.plan import Plan
from benchmarks.suite import (
    burst,
    channels_layer,
    comeback,
    connect,
    deflate,
    dialects,
    drain,
    fanout,
    flask_push,
    handlers,
    handlers_peers,
    idle,
    importing,
    kill,
    latency,
    memory,
    peers,
    protobuf,
    push,
    recovery,
    redis_fanout,
    redis_outage,
    redis_peers,
    redis_push,
    reload,
    stalled,
    storm,
    streams,
    unicast,
    workers,
)


class Benchmark(NamedTuple):
    """How it measures, and what measures it."""

    method: str
    run: Callable[[Plan], list[Figure]]


BENCHMARKS: Mapping[str, Benchmark] = {
    "fanout": Benchmark(fanout.METHOD, fanout.run),
    "burst": Benchmark(burst.METHOD, burst.run),
    "memory": Benchmark(memory.METHOD, memory.run),
    "connect": Benchmark(connect.METHOD, connect.run),
    "protobuf": Benchmark(protobuf.METHOD, protobuf.run),
    "push": Benchmark(push.METHOD, push.run),
    "idle": Benchmark(idle.METHOD, idle.run),
    "latency": Benchmark(latency.METHOD, latency.run),
    "deflate": Benchmark(deflate.METHOD, deflate.run),
    "unicast": Benchmark(unicast.METHOD, unicast.run),
    "dialects": Benchmark(dialects.METHOD, dialects.run),
    "streams": Benchmark(streams.METHOD, streams.run),
    "handlers": Benchmark(handlers.METHOD, handlers.run),
    "handlers-peers": Benchmark(handlers_peers.METHOD, handlers_peers.run),
    "channels-layer": Benchmark(channels_layer.METHOD, channels_layer.run),
    "recovery": Benchmark(recovery.METHOD, recovery.run),
    "storm": Benchmark(storm.METHOD, storm.run),
    "stalled": Benchmark(stalled.METHOD, stalled.run),
    "comeback": Benchmark(comeback.METHOD, comeback.run),
    "kill": Benchmark(kill.METHOD, kill.run),
    "drain": Benchmark(drain.METHOD, drain.run),
    "reload": Benchmark(reload.METHOD, reload.run),
    "import": Benchmark(importing.METHOD, importing.run),
    "flask": Benchmark(flask_push.METHOD, flask_push.run),
    "workers": Benchmark(workers.METHOD, workers.run),
    "peers": Benchmark(peers.METHOD, peers.run),
    "redis-push": Benchmark(redis_push.METHOD, redis_push.run),
    "redis-fanout": Benchmark(redis_fanout.METHOD, redis_fanout.run),
    "redis-outage": Benchmark(redis_outage.METHOD, redis_outage.run),
    "redis-peers": Benchmark(redis_peers.METHOD, redis_peers.run),
}


def named(names: Sequence[str]) -> list[str]:
    """The benchmarks that are meant, each once: `redis` means every `redis-…`; all when none is named.

    Raises:
        KeyError: there is no such benchmark.
    """
    found: list[str] = []
    for name in names or BENCHMARKS:
        meant = [each for each in BENCHMARKS if each == name or each.startswith(f"{name}-")]
        if not meant:
            raise KeyError(name)
        found += [each for each in meant if each not in found]
    return found
