"""The law of delivery, whatever happens in whatever order: each client sees one run of offsets without gap or repeat,
or was told that it could not recover."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from messageflow.brokers.base import History, Item
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.stream import Position
from messageflow.core.streams import Retention
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World

CHANNELS = ("open:x", "short:x")
CLIENTS = 3


class DistantBroker(MemoryBroker):
    """A broker whose answers take some turns of the loop to come, and are old when they do."""

    async def subscribe(self, channel: str) -> None:
        await asyncio.sleep(0)
        await super().subscribe(channel)
        await asyncio.sleep(0)

    async def since(self, channel: str, position: Position, limit: int | None = None) -> History:
        await asyncio.sleep(0)
        history = await super().since(channel, position, limit)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return history

    async def page(self, channel: str, offset: int | None = None, limit: int = 0, *, reverse: bool = False) -> History:
        await asyncio.sleep(0)
        history = await super().page(channel, offset, limit, reverse=reverse)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return history


class Reader:
    """A client that keeps what it saw and comes back with its position."""

    def __init__(self, name: str, channel: str) -> None:
        self.name = name
        self.channel = channel
        self.connection: MemoryConnection | None = None
        self.epoch, self.offset, self.tag = "", 0, ""
        self.known = False
        self._read = 0

    def request(self) -> dict[str, Any]:
        request: dict[str, Any] = {"channel": self.channel}
        if self.known:
            request |= {"recover": True, "epoch": self.epoch, "offset": self.offset, "tag": self.tag}
        return request

    def read(self) -> None:
        """Take in what was written since the last time, and check that it goes on where the last ended."""
        assert self.connection is not None
        for message in self.connection.written[self._read :]:
            if "subscribe" in message:
                self._begin(message["subscribe"])
            push = message.get("push", {})
            if push.get("channel") == self.channel and "pub" in push:
                self._take(push["pub"])
        self._read = len(self.connection.written)

    def _begin(self, result: dict[str, Any]) -> None:
        if result.get("was_recovering") and result.get("recovered"):
            assert (result["epoch"], result.get("offset", 0)) == (self.epoch, self.offset)
        else:
            self.epoch, self.offset, self.tag = result["epoch"], result.get("offset", 0), result.get("tag", "")
        self.known = True
        for publication in result.get("publications", []):
            self._take(publication)

    def _take(self, publication: dict[str, Any]) -> None:
        assert publication["offset"] == self.offset + 1
        assert publication["data"] == publication["offset"]  # what was published at this offset, see `publish`
        self.offset, self.tag = publication["offset"], publication["tag"]

    def forget_connection(self) -> None:
        self.connection = None
        self._read = 0


class Delivery(RuleBasedStateMachine):
    """Clients come, go, stall and return while publications flow; now and then the loop gets a few turns."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.run(self._start())
        self.readers = [Reader(f"user{i}", CHANNELS[i % 2]) for i in range(CLIENTS)]
        self.published = dict.fromkeys(CHANNELS, 0)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def _start(self) -> None:
        self.world = World(broker=DistantBroker())
        await self.world.hub.start()

    @rule(channel=st.sampled_from(CHANNELS), count=st.integers(1, 5))
    def publish(self, channel: str, count: int) -> None:
        first = self.published[channel] + 1
        self.published[channel] += count
        self.run(self._publish(channel, range(first, first + count)))

    async def _publish(self, channel: str, numbers: range) -> None:
        retention = Retention(3 if channel == "short:x" else 1000, 600)
        await self.world.broker.publish([Item(channel, str(number).encode(), retention) for number in numbers])

    @rule(which=st.integers(0, CLIENTS - 1))
    def come(self, which: int) -> None:
        reader = self.readers[which]
        if reader.connection is None:
            reader.connection = self.world.connection()
            connect = {"id": 1, "connect": {"token": self.world.token(reader.name)}}

            async def send() -> None:
                assert reader.connection is not None
                reader.connection.send(connect, {"id": 2, "subscribe": reader.request()})

            self.run(send())

    @rule(which=st.integers(0, CLIENTS - 1))
    def go(self, which: int) -> None:
        reader = self.readers[which]
        if reader.connection is not None:
            reader.read()
            self.run(self._call(reader.connection.lose))
            reader.forget_connection()

    @rule(which=st.integers(0, CLIENTS - 1), full=st.booleans())
    def stall(self, which: int, full: bool) -> None:
        connection = self.readers[which].connection
        if connection is not None:
            self.run(self._call(connection.fill if full else connection.empty))

    async def _call(self, function: Any) -> None:
        function()

    @rule(turns=st.sampled_from((1, 2, 5, 15, 40)))
    def turn(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(turn())

    @invariant()
    def every_reader_sees_one_run(self) -> None:
        for reader in self.readers:
            if reader.connection is not None:
                reader.read()
                if reader.connection.closed is not None:
                    assert reader.connection.closed.code == 3008  # it fell out of the short history
                    reader.forget_connection()

    def teardown(self) -> None:
        """Let everybody read to the end: nothing may be missing."""
        for which in range(CLIENTS):
            self.come(which)
            self.stall(which, False)
        self.run(self.world.settle())
        for _ in range(3):
            self.run(self.world.settle())
            self.every_reader_sees_one_run()
        for reader in self.readers:
            if reader.connection is not None:
                assert reader.offset == self.published[reader.channel]
        self.run(self.world.hub.close())
        self.loop.close()


@pytest.fixture(autouse=True)
def slow_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let publications be pending for longer than a rule takes, so that rules fall in between."""
    monkeypatch.setattr("messageflow.hub.hub.GATHER_TURNS", 12)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
