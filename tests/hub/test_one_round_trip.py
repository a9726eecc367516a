"""What a session asks of a distant broker on its way in travels together, and what it need not ask it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from messageflow.brokers.base import HistoryPart
from messageflow.brokers.local import NODE
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.client_info import ClientInfo
from messageflow.core.stream import Position
from messageflow.errors import BrokerError
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.test_joined_answers import Noted


class FarBroker(MemoryBroker):
    """A memory broker at the end of a link: what is asked is carried out when the test says so.

    Attributes:
        asked: what waits, as words.
        near: while this is set, nothing waits.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0.0)
        self.near = True
        self.failing = ""
        self.asked: dict[str, asyncio.Future[None]] = {}

    async def _travel(self, *words: str) -> None:
        if self.near:
            return
        said = " ".join(words)
        arrived = self.asked[said] = asyncio.get_running_loop().create_future()
        await arrived
        if said == self.failing:
            raise BrokerError("as the test wants it")

    def arrive(self) -> set[str]:
        """Let what was asked be carried out; return what it was."""
        asked, self.asked = self.asked, {}
        for arrived in asked.values():
            if not arrived.done():
                arrived.set_result(None)
        return set(asked)

    async def subscribe(self, channel: str) -> Position | None:
        await self._travel("subscribe", channel)
        return await super().subscribe(channel)

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        await self._travel("join", channel)
        await super().join(channel, info, keep=keep, tell=tell)

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        await self._travel("leave", channel)
        await super().leave(channel, info, tell=tell)

    async def read_page(
        self,
        channel: str,
        offset: int | None = None,
        limit: int = 0,
        size: int | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPart:
        await self._travel("page", channel)
        return await super().read_page(channel, offset, limit, size, reverse=reverse)

    async def read_since(
        self, channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        await self._travel("since", channel)
        return await super().read_since(channel, position, limit, size)


class OneQuestionBroker(FarBroker):
    """One that takes a subscription and a join as one question."""

    async def subscribe_and_join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> Position | None:
        await self._travel("enter", channel)
        self.enter(NODE, channel, info, keep=keep, tell=tell)
        return self.subscribe_now(channel)


@pytest.fixture
def broker() -> FarBroker:
    return FarBroker()


@pytest.fixture
async def world(broker: FarBroker) -> AsyncIterator[World]:
    made = World(broker=broker)
    await made.hub.start()
    await made.connected("watcher")  # so that `*` is delivered
    broker.near = False
    yield made
    broker.near = True
    broker.arrive()
    await made.close()


async def come(world: World, user: str, **connect: object) -> MemoryConnection:
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token(user), **connect}})
    await world.settle()
    return connection


async def test_who_connects_costs_one_round_trip(world: World, broker: FarBroker) -> None:
    connection = await come(world, "alice")
    assert broker.arrive() == {"subscribe #alice", "join #alice"}
    await world.settle()
    assert connection.replies(1)
    assert broker.asked == {}


async def test_who_subscribes_costs_one_round_trip(world: World, broker: FarBroker) -> None:
    connection = await come(world, "alice")
    broker.arrive()
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    assert broker.arrive() == {"subscribe open:x", "join open:x"}
    await world.settle()
    assert "subscribe" in connection.replies(2)[0]


async def test_who_missed_nothing_reads_nothing(world: World, broker: FarBroker) -> None:
    (stored,) = await world.publish("#alice", 1)
    at = stored.position
    held = {"recover": True, "epoch": at.epoch, "offset": at.offset, "tag": at.tag}
    connection = await come(world, "alice", subs={"#alice": held})
    assert broker.arrive() == {"subscribe #alice", "join #alice"}
    await world.settle()
    found = connection.replies(1)[0]["connect"]["subs"]["#alice"]
    assert (found["recovered"], found["offset"]) == (True, at.offset)
    await world.publish("#alice", 2)
    assert [p["data"] for p in connection.publications("#alice")] == [2]


async def test_what_comes_between_the_answer_and_the_session_is_not_missed(world: World, broker: FarBroker) -> None:
    await world.publish("open:x", 1)
    connection = await come(world, "alice")
    broker.arrive()
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    broker.asked.pop("subscribe open:x").set_result(None)  # and the join is still on its way
    await world.settle()
    await world.publish("open:x", 2)
    broker.arrive()
    await world.settle()
    assert "subscribe" in connection.replies(2)[0]
    await world.publish("open:x", 3)
    offset = connection.replies(2)[0]["subscribe"]["offset"]
    assert [p["data"] for p in connection.publications("open:x")] == list(range(offset + 1, 4))


@pytest.mark.parametrize("failing", ["subscribe open:x", "join open:x"])
async def test_who_could_not_come_in_is_not_present(world: World, broker: FarBroker, failing: str) -> None:
    connection = await come(world, "alice")
    broker.arrive()
    broker.failing = failing
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    broker.arrive()
    await world.settle()
    assert connection.replies(2)[0]["error"]["code"] == 100
    assert broker.arrive() == {"leave open:x"}
    await world.settle()
    assert await broker.read_presence("open:x") == {}


async def test_who_leaves_while_they_come_is_not_present(world: World, broker: FarBroker) -> None:
    connection = await come(world, "alice")
    connection.lose()
    await world.settle()
    broker.arrive()
    await world.settle()
    broker.arrive()
    await world.settle()
    assert await broker.read_presence("#alice") == {}
    assert "#alice" not in world.hub.channels


class TestOneQuestion:
    """Over a broker that takes what a session asks on its way into a channel as one question."""

    @pytest.fixture
    def broker(self) -> FarBroker:
        return OneQuestionBroker()

    async def test_who_comes_asks_once(self, world: World, broker: FarBroker) -> None:
        connection = await come(world, "alice")
        assert broker.arrive() == {"enter #alice"}
        await world.settle()
        assert connection.replies(1)
        assert len(await broker.read_presence("#alice")) == 1
        await world.publish("#alice", 1)
        assert [p["data"] for p in connection.publications("#alice")] == [1]

    async def test_answers_that_were_waited_for_share_a_write(self, world: World, broker: FarBroker) -> None:
        connection = Noted(world.hub, carrier=world.carrier)
        commands = ({"id": number, "subscribe": {"channel": f"bare:{number}"}} for number in (2, 3))
        connection.send({"id": 1, "connect": {"token": world.token("alice")}}, *commands)
        await world.settle()
        broker.near = True  # what it asks for next is done at once
        assert broker.arrive() == {"enter #alice"}
        await world.settle()
        assert [message["id"] for message in connection.written] == [1, 2, 3]
        assert connection.writes == [3]

    async def test_whoever_comes_while_another_asks_waits_and_enters_alone(
        self, world: World, broker: FarBroker
    ) -> None:
        first, second = await come(world, "alice"), await come(world, "alice")
        assert broker.arrive() == {"enter #alice", "join #alice"}
        await world.settle()
        broker.arrive()
        await world.settle()
        assert first.replies(1)
        assert second.replies(1)
        assert len(await broker.read_presence("#alice")) == 2

    async def test_who_could_not_come_in_is_not_present(self, world: World, broker: FarBroker) -> None:
        connection = await come(world, "alice")
        broker.arrive()
        broker.failing = "enter open:x"
        connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
        await world.settle()
        broker.arrive()
        await world.settle()
        assert connection.replies(2)[0]["error"]["code"] == 100
        assert broker.arrive() == {"leave open:x"}
        await world.settle()
        assert "open:x" not in world.hub.channels

    async def test_who_leaves_while_they_come_is_not_present(self, world: World, broker: FarBroker) -> None:
        connection = await come(world, "alice")
        connection.lose()
        await world.settle()
        assert broker.arrive() == {"enter #alice"}
        await world.settle()
        assert broker.arrive() == {"leave #alice"}
        await world.settle()
        assert await broker.read_presence("#alice") == {}
        assert "#alice" not in world.hub.channels
