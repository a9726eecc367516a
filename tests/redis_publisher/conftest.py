"""A Redis with a gateway, and flows that go to either; no test sees this machine's own gateway or keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messageflow.client_io import blocking_io
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.redis_publishing_rules import RedisPublishingRules
from tests.brokers.redis.conftest import authority as authority
from tests.brokers.redis.conftest import own_cluster as own_cluster
from tests.brokers.redis.conftest import running_cluster as running_cluster
from tests.brokers.redis.conftest import shared_cluster as shared_cluster
from tests.brokers.redis.conftest import trio as trio
from tests.brokers.redis.servers import Server
from tests.publisher.conftest import Face
from tests.publisher.conftest import face as face
from tests.support import Running, running

CONFIG = """
[channel.without_namespace]
history_size = 50
[[channel.namespaces]]
name = "seen"
presence = true
[[channel.namespaces]]
name = "objects"
publication_data_format = "json_object"
[[channel.namespaces]]
name = "brief"
history_size = 0
"""
NAMESPACES = Namespaces(named={"seen": NamespaceOptions(presence=True)})
SIZE_LIMIT = 65_536


@pytest.fixture(autouse=True)
def strange_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hide the environment and the development file; close what a test left open."""
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "BROKER_PREFIX"):
        monkeypatch.delenv(f"MESSAGEFLOW_{name}", raising=False)
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))
    yield
    for each in blocking_io._clients.table().values():
        each.close()
    blocking_io._clients.table().clear()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "messageflow.toml").write_text(CONFIG)
    flags = ["serve", "--config", str(directory / "messageflow.toml"), "--broker", redis.url]
    with running(flags, directory) as started:
        yield started


def leave_rules(server: Server, prefix: str = "messageflow", window: float = 600.0) -> None:
    """Do what a gateway does that uses a Redis."""
    rules = RedisPublishingRules.of(NAMESPACES, size_limit=SIZE_LIMIT, idempotency_window=window)
    with server.client() as client:
        client.set(f"{prefix}:rules", rules.to_json())


@pytest.fixture
def ruled(own_server: Server) -> Server:
    """A server that gateways have used, and to which the test may do anything."""
    leave_rules(own_server)
    return own_server


class Flows:
    """Flows of one face, closed at the end."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._made: list[Any] = []

    def make(self, url: str | None, **options: Any) -> Any:
        """Return a flow."""
        self._made.append(self._face.make(url, **options))
        return self._made[-1]

    def call(self, flow: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a flow, and await what there is to await."""
        return self._face.call(flow, name, *arguments, **options)

    def wait(self, value: Any) -> Any:
        """Return a value that may have to be awaited."""
        return self._face.wait(value)

    def close(self) -> None:
        for flow in self._made:
            self._face.close(flow)


@pytest.fixture
def flows(face: Face) -> Iterator[Flows]:
    made = Flows(face)
    yield made
    made.close()
