"""A hub with a manual clock and connections without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import jwt
import msgspec
import pytest

from messageflow.brokers.base import Stored
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.stream import Item, Retention
from messageflow.core.token_keys import load_keys
from messageflow.core.token_verifier import Verifier
from messageflow.hub.hooks import Hooks
from messageflow.hub.hub import NO_HOOKS, Hub
from messageflow.hub.limits import Limits
from messageflow.testing.clock import ManualClock
from messageflow.testing.memory_connection import NATIVE_LINES, MemoryConnection
from tests.hub.carriers import CARRIERS
from tests.hub.links import DistantBroker

SECRET = "a-secret-of-the-hub-tests-0123456789"
WALL = 1_800_000_000.0
KEPT = Retention(1000, 600)

OPEN = NamespaceOptions(
    presence=True,
    join_leave=True,
    allow_subscribe_for_client=True,
    allow_publish_for_client=True,
    allow_history_for_client=True,
    allow_presence_for_client=True,
)
LIMITED = msgspec.structs.replace(OPEN, allow_user_limited_channels=True)
NAMESPACES = Namespaces(
    named={
        "open": OPEN,
        "limited": LIMITED,
        "closed": NamespaceOptions(),
        "bare": NamespaceOptions(history_size=0, allow_subscribe_for_client=True),
        "skip": NamespaceOptions(history_size=0, allow_subscribe_for_client=True, lag_policy="skip"),
        "short": NamespaceOptions(history_size=3, allow_subscribe_for_client=True),
        "cache": NamespaceOptions(force_recovery_mode="cache", allow_subscribe_for_client=True),
    }
)


class World:
    """A hub and what a test does with it.

    Attributes:
        carrier: how its connections speak.
    """

    carrier = NATIVE_LINES

    def __init__(
        self, limits: Limits | None = None, broker: MemoryBroker | None = None, hooks: Hooks = NO_HOOKS
    ) -> None:
        self.clock = ManualClock()
        self.wall = ManualClock(WALL)
        self.broker = broker or MemoryBroker(clock=self.clock)
        verifier = Verifier(load_keys([SECRET], []))
        self.hub = Hub(self.broker, NAMESPACES, verifier, limits, hooks=hooks, clock=self.clock, wall=self.wall)

    def token(self, user: str, seconds: float = 3600, **claims: Any) -> str:
        return jwt.encode({"sub": user, "exp": self.wall() + seconds, **claims}, SECRET, "HS256")

    def connection(self, address: str = "127.0.0.1") -> MemoryConnection:
        return MemoryConnection(self.hub, address, self.carrier)

    async def connected(self, user: str, subs: dict[str, Any] | None = None, **claims: Any) -> MemoryConnection:
        """Return a connection that is in."""
        connection = self.connection()
        connect = {"token": self.token(user, **claims)} | ({"subs": subs} if subs else {})
        connection.send({"id": 1, "connect": connect})
        await self.settle()
        assert connection.replies(1), connection.closed
        return connection

    async def subscribed(self, user: str, channel: str, **request: Any) -> MemoryConnection:
        """Return a connection that is in, and in a channel."""
        connection = await self.connected(user)
        connection.send({"id": 2, "subscribe": {"channel": channel, **request}})
        await self.settle()
        assert "subscribe" in connection.replies(2)[0], connection.replies(2)
        return connection

    async def publish(self, channel: str, *data: Any, exclude: str = "", flags: int = 0) -> list[Stored]:
        """Publish and let it be delivered."""
        stored = await self.publish_only(channel, *data, exclude=exclude, flags=flags)
        await self.settle()
        return stored

    async def publish_only(self, channel: str, *data: Any, exclude: str = "", flags: int = 0) -> list[Stored]:
        """Publish, and let no turn pass."""
        options = NAMESPACES.options(channel)
        assert options is not None
        retention = Retention(options.history_size, options.history_ttl)
        items = [Item(channel, str(each).encode(), retention, exclude=exclude, flags=flags) for each in data]
        return await self.broker.publish(items)

    async def settle(self) -> None:
        """Let everything happen that is waiting for nothing but its turn."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End the hub; a broker that holds answers back lets go of them."""
        if isinstance(self.broker, DistantBroker):
            self.broker.gate.set()
        await self.hub.close()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, tick by tick, as the heartbeat would see it."""
        tick = self.hub.heartbeat.tick_length
        for _ in range(round(seconds / tick)):
            self.clock.advance(tick)
            self.wall.advance(tick)
            self.hub.heartbeat.tick()
        await self.settle()


# What a session does it does in every dialect and over every transport: these suites run with each carrier there is.
CARRIED = {
    "test_backlog",
    "test_lagging_sessions",
    "test_connect",
    "test_delivery",
    "test_drain",
    "test_exclusion",
    "test_subscribe",
    "test_expiry",
}
WORDED = {"test_connect", "test_exclusion", "test_subscribe"}  # in which messages of all kinds are said


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    if "carrier" in metafunc.fixturenames and module in CARRIED:
        marked = {mark.name for mark in metafunc.definition.iter_markers()}
        names = [name for name, each in CARRIERS.items() if not ("two_way" in marked and each.transport.one_way)]
        if module not in WORDED:  # a dialect more would say the same, and each takes seconds
            names.remove("protobuf")
        names = ["native"] if "native" in marked else names
        metafunc.parametrize("carrier", names, indirect=True)


@pytest.fixture(autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the connections of a test speak: natively, unless its suite runs with all carriers."""
    monkeypatch.setattr(World, "carrier", CARRIERS[getattr(request, "param", "native")])


@pytest.fixture
def broker() -> MemoryBroker | None:
    """What the hub is over: a memory of its own. A module may put another in its place."""
    return None


@pytest.fixture
async def world(broker: MemoryBroker | None) -> AsyncIterator[World]:
    made = World(broker=broker)
    await made.hub.start()
    yield made
    await made.close()
