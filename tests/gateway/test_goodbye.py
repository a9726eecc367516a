"""A client that says goodbye is gone at once, whatever is still on its way to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow import Flow
from tests.gateway.test_bad_input import Client, token
from tests.support import API_KEY, Running, running

CONFIG = """
buffer_high_water = "4MiB"
[channel.without_namespace]
presence = true
allow_subscribe_for_client = true
"""
CLOSE = 0x88
PATIENCE = 10  # seconds, for a machine that does much else; the kernel gives such a peer up after 20

pytestmark = pytest.mark.slow


@pytest.fixture(params=["memory", "embedded"])
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    (tmp_path / "messageflow.toml").write_text(CONFIG)
    arguments = ["serve", "--config", str(tmp_path / "messageflow.toml"), "--broker", request.param]
    with running(arguments, tmp_path) as started:
        yield started


@pytest.mark.parametrize("unread", [0, 30], ids=["all read", "much unread"])
def test_a_goodbye_ends_presence_at_once(gateway: Running, unread: int) -> None:
    with Flow(gateway.url, api_key=API_KEY) as flow, Client(gateway) as client:
        client.connect(token=token("alice"))
        client.say({"id": 2, "subscribe": {"channel": "room"}})
        client.receive()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(unread):  # more than the kernel takes, less than makes a session lag
            flow.push("alice", "large", "x" * 60_000)
        assert len(flow.presence("room")) == 1
        client.frame(b"\x03\xe9", head=CLOSE)
        end = time.monotonic() + PATIENCE
        while flow.presence("room"):
            assert time.monotonic() < end, "a ghost"
            time.sleep(0.02)
