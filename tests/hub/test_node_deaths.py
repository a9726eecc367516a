"""The ends of clients of a node that died: told by one of those that live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from messageflow.brokers.memory import MemoryBroker
from messageflow.core.channels import CLIENTS, NODES
from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Left, raw
from messageflow.hub import node_deaths
from messageflow.hub.hooks import DisconnectNotice, Hooks
from messageflow.hub.node_deaths import NodeDeaths
from tests.hub.conftest import World
from tests.waiting import until


class Node:
    """A hub among others, and what its application was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int, bytes]] = []
        self.answer: asyncio.Event | None = None
        self.world = World(hooks=Hooks(disconnect=self._disconnect))
        self.hub = self.world.hub
        self.deaths = NodeDeaths(
            self.hub.runtime,
            self.hub.broker,
            self.hub.hooks,
            self.hub.presence,
            self.hub.occupancy,
            self.hub.sessions,
            "b",
            shared=True,
        )
        self.hub.node_deaths = self.deaths

    async def _disconnect(self, notice: DisconnectNotice) -> None:
        self.told.append((notice.client.user, notice.client.client, notice.code, notice.client.info))
        if self.answer is not None:
            await self.answer.wait()


@pytest.fixture
async def node(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(node_deaths, "GATHER", 0.001)
    made = Node()
    await made.hub.start()
    yield made
    await made.world.close()


ALICE = ClientInfo("alice", "lost", raw(b'{"n":1}'))


async def test_the_one_with_the_first_name_tells(node: Node) -> None:
    node.hub.on_presence(CLIENTS, Left(ALICE))
    await until(lambda: node.told)
    assert node.told == [("alice", "lost", 0, b'{"n":1}')]


async def test_those_of_one_death_are_told_together(node: Node) -> None:
    """By webhook one that is told alone waits for others that could come with it."""
    node.answer = asyncio.Event()
    for number in range(5):
        node.hub.on_presence(CLIENTS, Left(ClientInfo("bob", f"lost {number}")))
    await until(lambda: node.told)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(node.told) == 5, "while none of them is answered"
    node.answer.set()


async def test_the_others_do_not(node: Node) -> None:
    await node.hub.broker.join(NODES, ClientInfo("", "a"), keep=True, tell=False)
    node.hub.on_presence(CLIENTS, Left(ALICE))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert node.told == []
    await node.hub.broker.leave(NODES, ClientInfo("", "a"), tell=False)
    node.hub.on_presence(CLIENTS, Left(ClientInfo("bob", "lost too")))
    await until(lambda: node.told)
    assert node.told == [("bob", "lost too", 0, b"")]


async def left_to_another(node: Node) -> None:
    """Have an end left to a node with a name that comes before."""
    await node.hub.broker.join(NODES, ClientInfo("", "a"), keep=True, tell=False)
    node.hub.on_presence(CLIENTS, Left(ALICE))
    await until(lambda: node.deaths._left)
    assert node.told == []
    await node.hub.broker.leave(NODES, ClientInfo("", "a"), tell=False)


async def test_what_a_node_was_to_tell_that_died_too_is_told_by_the_next(node: Node) -> None:
    await left_to_another(node)
    node.hub.on_presence(NODES, Left(ClientInfo("", "a")))
    await until(lambda: node.told)
    assert node.told == [("alice", "lost", 0, b'{"n":1}')]


async def test_what_a_node_said_that_it_told_is_not_told_when_it_dies(node: Node) -> None:
    await left_to_another(node)
    node.hub.on_control(b'told\n{"clients":["lost"],"channels":[]}')
    node.hub.on_presence(NODES, Left(ClientInfo("", "a")))
    node.hub.on_presence(CLIENTS, Left(ClientInfo("bob", "lost too")))
    await until(lambda: node.told)
    assert [told[1] for told in node.told] == ["lost too"]


async def test_who_is_connected_is_entered_and_who_left_is_told_of_here_alone(node: Node) -> None:
    connection = await node.world.connected("alice")
    assert connection.session is not None
    client = connection.session.client
    await until(lambda: not node.hub.presence.under_way)
    assert isinstance(node.hub.broker, MemoryBroker)
    assert list(await node.hub.broker.read_presence(CLIENTS)) == [client]
    assert list(await node.hub.broker.read_presence(NODES)) == ["b"]
    connection.session.lost()
    await until(lambda: node.told)
    await until(lambda: not node.hub.presence.under_way)
    assert await node.hub.broker.read_presence(CLIENTS) == {}
    assert [told[1] for told in node.told] == [client]


async def test_a_node_that_was_taken_for_dead_sends_those_away_that_others_told_of(node: Node) -> None:
    connection = await node.world.connected("alice")
    assert connection.session is not None
    node.hub.on_presence(CLIENTS, Left(ClientInfo("alice", connection.session.client)))
    assert connection.closed is not None
    assert connection.closed.reconnect
    await node.world.settle()
    assert node.told == []


class Doubted(MemoryBroker):
    """A broker whose node may have been taken for dead."""

    doubtful = False

    @property
    def may_be_dead(self) -> bool:
        return self.doubtful


async def gone_in_doubt(node: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[Doubted, str]:
    """Have a client go while its node may be dead. Returns what says so, and the client."""
    broker = Doubted()
    monkeypatch.setattr(node.deaths, "_broker", broker)
    connection = await node.world.connected("alice")
    assert connection.session is not None
    broker.doubtful = True
    connection.session.lost()
    await node.world.settle()
    assert node.told == []
    return broker, connection.session.client


async def test_an_end_is_withheld_until_it_is_known_that_nobody_else_told_of_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, client = await gone_in_doubt(node, monkeypatch)
    broker.doubtful = False
    await until(lambda: node.told)
    assert [told[1] for told in node.told] == [client]


async def test_an_end_that_another_node_told_of_is_not_told_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, client = await gone_in_doubt(node, monkeypatch)
    node.hub.on_presence(CLIENTS, Left(ClientInfo("alice", client)))
    broker.doubtful = False
    await until(lambda: not node.deaths._withheld)
    node.hub.on_presence(CLIENTS, Left(ClientInfo("alice", client)))  # announced too, and heard late
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert node.told == []


async def test_a_node_that_ends_in_doubt_leaves_it_to_whoever_clears_up_after_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_deaths, "LAST_WORDS", 0.01)
    _, client = await gone_in_doubt(node, monkeypatch)
    node.deaths.hurry()
    await until(lambda: not node.deaths._withheld)
    assert node.told == []
    assert client in await node.hub.broker.read_presence(CLIENTS)


async def test_a_handler_that_comes_late_is_told_of_deaths_too(node: Node) -> None:
    await node.deaths.end()  # as where there was none at the start
    assert await node.hub.broker.read_presence(NODES) == {}
    await node.world.connected("alice")
    await node.world.settle()
    assert list(await node.hub.broker.read_presence(NODES)) == ["b"]
