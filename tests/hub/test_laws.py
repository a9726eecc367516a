"""The law of delivery, whatever happens in whatever order, and whatever is lost or late between broker and hub: each
client sees one run of offsets without gap or repeat, or was told that it could not recover; and it is told so only
where the history is too short. What is not for it, it is not given and passes by, over its connections too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from messageflow.core.exclusion import MOST_FORMER
from messageflow.core.stream import Item, Retention
from messageflow.hub import fan_out, gap_repair, history_reader
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker

CHANNELS = ("open:x", "short:x")
CLIENTS = 3


class Reader:
    """A client that keeps what it saw and comes back with its position."""

    def __init__(self, name: str, channel: str) -> None:
        self.name = name
        self.channel = channel
        self.connection: MemoryConnection | None = None
        self.epoch, self.offset, self.tag = "", 0, ""
        self.known = False
        self.sent_away = False
        self.clients: list[str] = []  # its connections, as it tells the next
        self.excluded: set[int] = set()  # offsets of what is not for it, while it can tell that it is the one meant
        self._read = 0

    @property
    def former(self) -> list[str]:
        return self.clients[-MOST_FORMER:]

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
            if push.get("channel") == self.channel and "moved" in push:
                offset = push["moved"]["offset"]
                assert offset - push["moved"].get("count", 1) == self.offset
                assert self._pass_by(offset) == offset
                self.tag = push["moved"]["tag"]
            if "unsubscribe" in push:
                assert (self.channel, push["unsubscribe"]["code"]) == ("short:x", 2500)
                self.sent_away = True
        self._read = len(self.connection.written)

    def _begin(self, result: dict[str, Any]) -> None:
        if result.get("was_recovering") and result.get("recovered"):
            assert (result["epoch"], result.get("offset", 0)) == (self.epoch, self.offset)
        else:
            assert not self.known or self.channel == "short:x"
            self.epoch, self.offset, self.tag = result["epoch"], result.get("offset", 0), result.get("tag", "")
        self.known = True
        for publication in result.get("publications", []):
            self._pass_by(publication["offset"] - 1)
            self._take(publication)

    def _pass_by(self, until: int) -> int:
        """Go on to an offset, as far as nothing on the way is for this client."""
        while self.offset < until and self.offset + 1 in self.excluded:
            self.offset += 1
        return self.offset

    def _take(self, publication: dict[str, Any]) -> None:
        assert publication["offset"] == self.offset + 1
        assert publication["offset"] not in self.excluded
        assert publication["data"] == publication["offset"]  # what was published at this offset, see `publish`
        self.offset, self.tag = publication["offset"], publication["tag"]

    def forget_connection(self) -> None:
        self.connection = None
        self.sent_away = False
        self._read = 0


class Delivery(RuleBasedStateMachine):
    """Clients come, go, stall and return while publications flow, arrive late or not at all; now and then the loop
    gets a few turns."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.run(self._start())
        self.readers = [Reader(f"user{i}", CHANNELS[i % 2]) for i in range(CLIENTS)]
        self.published = dict.fromkeys(CHANNELS, 0)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def _start(self) -> None:
        self.broker = DistantBroker(turns=4)
        self.world = World(broker=self.broker)
        await self.world.hub.start()

    @rule(channel=st.sampled_from(CHANNELS), count=st.integers(1, 5))
    def publish(self, channel: str, count: int) -> None:
        self._publish(channel, count, "")

    @rule(which=st.integers(0, CLIENTS - 1), count=st.integers(1, 3), back=st.integers(1, 2))
    def publish_without(self, which: int, count: int, back: int) -> None:
        """Exclude a client, by its connection or the one before; one that comes too often is not known any more."""
        reader = self.readers[which]
        if len(reader.clients) < back or len(reader.clients) > MOST_FORMER - 3:
            return
        first = self.published[reader.channel] + 1
        reader.excluded.update(range(first, first + count))
        self._publish(reader.channel, count, reader.clients[-back])

    def _publish(self, channel: str, count: int, exclude: str) -> None:
        first = self.published[channel] + 1
        self.published[channel] += count
        self.run(self._store(channel, range(first, first + count), exclude))

    async def _store(self, channel: str, numbers: range, exclude: str) -> None:
        retention = Retention(3 if channel == "short:x" else 1000, 600)
        items = [Item(channel, str(number).encode(), retention, exclude=exclude) for number in numbers]
        await self.world.broker.publish(items)

    @rule(which=st.integers(0, CLIENTS - 1))
    def come(self, which: int) -> None:
        reader = self.readers[which]
        if reader.connection is None:
            reader.connection = self.world.connection()
            connect = {"id": 1, "connect": {"token": self.world.token(reader.name), "former": reader.former}}

            async def send() -> None:
                assert reader.connection is not None
                reader.connection.send(connect, {"id": 2, "subscribe": reader.request()})
                assert reader.connection.session is not None
                reader.clients.append(reader.connection.session.client)

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

    async def _call(self, function: Any, *arguments: Any) -> None:
        function(*arguments)

    @rule(count=st.integers(1, 3))
    def lose(self, count: int) -> None:
        self.broker.link.lose = count

    @rule()
    def hold(self) -> None:
        self.broker.link.holding = True

    @rule(backwards=st.booleans())
    def release(self, backwards: bool) -> None:
        self.run(self._call(self.broker.link.release, list.reverse if backwards else None))

    @rule()
    def doubt(self) -> None:
        self.run(self._call(self.world.hub.on_doubt))

    @rule(turns=st.sampled_from((0, 3, 12)))
    def flush_after(self, turns: int) -> None:
        """Let publications be pending for longer than other rules take, or not."""
        fan_out.GATHER_TURNS = turns

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
                    assert (reader.channel, reader.connection.closed.code) == ("short:x", 3008)
                    reader.forget_connection()
                elif reader.sent_away:
                    self.run(self._call(reader.connection.lose))
                    reader.forget_connection()

    def teardown(self) -> None:
        """Let everything arrive and everybody read to the end: nothing may be missing."""
        self.broker.link.lose = 0
        self.release(False)
        self.doubt()
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
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "GATHER_TURNS", fan_out.GATHER_TURNS)
    monkeypatch.setattr(fan_out, "CHEAP", -1.0)
    for module in (gap_repair, history_reader):
        monkeypatch.setattr(module, "FIRST_DELAY", 0.0)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
