"""Ours: `messageflow serve`, by default one worker with its durable broker; every subscriber a user of its own."""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import jwt

from benchmarks.servers.base import PublishSide, Server, ServerFailed, SubscribeSide, free_port
from messageflow import Receipt

CHANNEL = "bench:all"
API_KEY = secrets.token_hex(32)
TOKEN_SECRET = secrets.token_hex(32)
TOKEN_SECONDS = 3600

CONFIGURATION = """
unauthenticated_per_address = 0   # all subscribers come from one address, and all at once

[[channel.namespaces]]
name = "bench"
allow_subscribe_for_client = true
allow_publish_for_client = true
history_size = 100   # as many as the peer keeps
history_ttl = "60s"

[[channel.namespaces]]
name = "kept"   # with the history that channels have by default
allow_subscribe_for_client = true
"""
IN_MEMORY = ("--broker", "memory")


def gateway(scratch: Path, flags: tuple[str, ...] = ()) -> Server:
    """Our gateway on a free port, with keys that live as long as this run; `flags` are those of `serve`."""
    port = free_port()
    home = Path(tempfile.mkdtemp(prefix="gateway-", dir=scratch))
    configuration = home / "messageflow.toml"
    configuration.write_text(CONFIGURATION)
    return Server(
        name="messageflow",
        command=(
            *(sys.executable, "-m", "messageflow.cli.main", "serve"),
            *("--port", str(port), "--config", str(configuration), *flags),
        ),
        port=port,
        subscribe=SubscribeSide(
            path="/connection/websocket", first_frames=first_frames, ready_text='"id":2', answer_pings=True
        ),
        publish=PublishSide(
            path="/api/publish",
            body=lambda text: json.dumps({"channel": CHANNEL, "data": text}),
            headers={"X-API-Key": API_KEY, "Content-Type": "application/json"},
        ),
        environment={
            "MESSAGEFLOW_API_KEY": API_KEY,
            "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
            "MESSAGEFLOW_DATA_DIR": str(home),
        },
    )


def with_flags(*flags: str) -> Callable[[Path], Server]:
    """What makes our gateway with these flags of `serve`."""
    return partial(gateway, flags=flags)


def metric(port: int, name: str) -> float:
    """The value of one of the gateway's metrics, by its full name.

    Raises:
        ServerFailed: it has no such metric.
    """
    request = Request(f"http://127.0.0.1:{port}/metrics", headers={"X-API-Key": API_KEY})
    with urlopen(request, timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    raise ServerFailed(f"messageflow has no metric {name}")


def user(number: int) -> str:
    """The name of the user with this number."""
    return f"user-{number}"


def token(number: int, channels: Sequence[str] = ()) -> str:
    """A token of the user with this number; `channels` are those the server subscribes him to."""
    claims = {"sub": user(number), "exp": int(time.time()) + TOKEN_SECONDS, "channels": list(channels)}
    return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")


def first_frames(
    connections: int, held: Mapping[str, Receipt] | None = None, channels: Sequence[str] = ()
) -> Iterator[str]:
    """For each connection, connect as a user of its own and subscribe, in one frame as centrifuge-js sends them.

    Args:
        connections: how many.
        held: where everybody stood before, for CHANNEL and for channels the server subscribes to by itself.
        channels: those that the token subscribes everybody to.
    """
    positions = {channel: _resume(receipt) for channel, receipt in (held or {}).items()}
    subscribe = json.dumps({"id": 2, "subscribe": {"channel": CHANNEL, **positions.pop(CHANNEL, {})}})
    for number in range(connections):
        connect = {"token": token(number, channels), "subs": positions}
        yield json.dumps({"id": 1, "connect": connect}) + "\n" + subscribe


def _resume(receipt: Receipt) -> dict[str, object]:
    return {"recover": True, "epoch": receipt.epoch, "offset": receipt.offset, "tag": receipt.tag}
