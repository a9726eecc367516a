"""What a Redis says of itself: version, part of a Cluster or not, what an acknowledgement means, what to change.

Pure but for the callable that asks. Owns the judgement of a server, never a connection to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from messageflow.brokers.base import Ack
from messageflow.brokers.redis.connections.resp import Announcing, ErrorReply, to_dict
from messageflow.errors import Unavailable

OLDEST = (6, 2)  # of what scripts and streams here need
OLDEST_SHARDED = (7, 0)  # that knows announcements which lie in slots of a Cluster
SETTINGS = ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save", "min-replicas-to-write")

Ask = Callable[..., Awaitable[Any]]


class ServerInfo(NamedTuple):
    """What was found.

    Args:
        server: name and version.
        ack: what a stored publication is there.
        hindrances: why it cannot be used at all.
        advice: what could be lost, and what to change.
        life: another one after each start, and whenever it took another's place.
    """

    server: str
    ack: Ack
    hindrances: tuple[str, ...]
    advice: tuple[str, ...]
    life: str = ""


def parse_info(text: bytes) -> dict[str, str]:
    """Return what INFO or CLUSTER INFO says, by name."""
    lines = text.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def is_cluster(info: Mapping[str, str]) -> bool:
    """Whether a server is part of a Cluster, by the section `cluster` of INFO."""
    return info.get("cluster_enabled") == "1"


def choose_announcing(info: Mapping[str, str]) -> Announcing:
    """Return how something is announced in a Cluster, by the section `server` of INFO of one of its servers.

    Before Redis 7 every server hears all; since then announcements lie in slots.
    """
    sharded = parse_version(info.get("redis_version", "")) >= OLDEST_SHARDED
    return Announcing("SPUBLISH" if sharded else "PUBLISH")


async def read_info_sections(ask: Ask, *sections: str) -> dict[str, str]:
    """Return what sections of INFO say.

    Args:
        ask: sends a command and returns its reply.
    """
    found: dict[str, str] = {}
    for section in sections:
        found |= parse_info(await ask("INFO", section))
    return found


async def read_server_info(ask: Ask) -> ServerInfo:
    """Ask a Redis about itself.

    Args:
        ask: sends a command and returns its reply.

    Raises:
        BrokerError: it does not answer, or cannot yet.
    """
    info = await read_info_sections(ask, "server", "persistence", "replication")
    if info.get("loading") == "1":  # what it says of its file would be wrong
        raise Unavailable("Redis is loading its file: wait until it has")
    settings: dict[str, str] = {}
    try:
        for name in SETTINGS:
            found = to_dict(await ask("CONFIG", "GET", name))
            settings |= {name.decode(): value.decode() for name, value in found.items()}
    except ErrorReply:
        settings = {}  # this user may not read them; what INFO says has to do
    return judge_server(info, settings)


def judge_server(info: Mapping[str, str], settings: Mapping[str, str]) -> ServerInfo:
    """Say what a server is fit for, by what it says of itself."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    hindrances, advice = [], []
    if parse_version(info.get("redis_version", "")) < OLDEST:
        hindrances.append(f"{name} {version} is too old: {OLDEST[0]}.{OLDEST[1]} is needed")
    if info.get("role", "master") != "master":
        hindrances.append("it is a replica and takes no writes: give the address of its primary, or of Sentinel")
    if not settings:
        advice.append("this user may not read CONFIG, so eviction and syncing are not known: allow CONFIG|GET")
    policy = settings.get("maxmemory-policy", "noeviction")
    if settings.get("maxmemory", "0") != "0" and policy != "noeviction":
        advice.append(
            f"maxmemory-policy is {policy}: when memory is full, whole streams go, and clients are told that their "
            "history is lost; set noeviction, and give it enough memory"
        )
    ack = _judge_ack(info, settings)
    if ack == "memory":
        advice.append("appendonly is no: a restart of it loses what was acknowledged; set appendonly yes")
    elif ack == "os":
        advice.append(
            "appendfsync is not always: when its machine stops, the last second of what was acknowledged may be lost; "
            "streams then go on in a new epoch"
        )
    if int(info.get("connected_slaves", "0")) and settings.get("min-replicas-to-write", "0") == "0":
        advice.append(
            "replication is asynchronous: a failover may lose what was acknowledged last; min-replicas-to-write 1 "
            "makes that less likely"
        )
    life = ".".join(info[name] for name in ("run_id", "master_replid") if name in info)
    return ServerInfo(f"{name} {version}", ack, tuple(hindrances), tuple(advice), life)


def _judge_ack(info: Mapping[str, str], settings: Mapping[str, str]) -> Ack:
    if info.get("aof_enabled", "0") != "1":
        return "memory"
    return "disk" if settings.get("appendfsync") == "always" else "os"


def parse_version(version: str) -> tuple[int, ...]:
    """Return a version as it is compared."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
