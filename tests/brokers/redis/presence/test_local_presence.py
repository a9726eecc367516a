"""Who is present is who is so here, whatever comes at the same time, fails, is given up or arrives late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pytest

from messageflow.brokers.redis.broker import RedisBroker
from messageflow.brokers.redis.presence import local_presence
from messageflow.brokers.redis.presence.lease import LEASE, Lease
from messageflow.brokers.redis.presence.local_presence import LocalPresence
from messageflow.brokers.redis.presence.presence_store import Gone, RedisPresenceStore
from messageflow.core.channels import CLIENTS
from messageflow.core.client_info import ClientInfo
from messageflow.errors import BrokerError, Unanswered, Unavailable
from messageflow.testing.broker_suite import until
from tests.brokers.redis.conftest import Opened, Server

ALICE, BOB = ClientInfo("alice", "a"), ClientInfo("bob", "b")


class Held(RedisPresenceStore):
    """A registry that is slow, or fails, as the test says."""

    def __init__(self, real: RedisPresenceStore) -> None:
        super().__init__(real._client, real._names)
        self.calls: list[str] = []
        self.waiting = {"enter", "exit", "disown"}  # at the gate
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BrokerError | None = None
        self.disturbed: random.Random | None = None

    async def enter(self, node: str, people: Sequence[tuple[str, ClientInfo]]) -> bool:
        await self._held("enter")
        noted = await super().enter(node, people)
        await self._disturb()
        return noted

    async def exit(self, people: Sequence[Gone]) -> list[bool | BrokerError]:
        await self._held("exit")
        outcomes = await super().exit(people)
        await self._disturb()
        return outcomes

    async def disown(self, node: str, channels: Sequence[str | bytes]) -> None:
        await self._held("disown")
        await super().disown(node, channels)
        await self._disturb()

    async def _held(self, call: str) -> None:
        self.calls.append(call)
        if call in self.waiting:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        await self._disturb()

    async def _disturb(self) -> None:
        """Take a while, or fail; before or after it was done."""
        if self.disturbed is not None:
            for _ in range(self.disturbed.randrange(4)):
                await asyncio.sleep(0)
            if self.disturbed.random() < 0.1:
                raise Unanswered("the connection was lost")


@pytest.fixture
async def broker(opened: Opened, server: Server) -> AsyncIterator[RedisBroker]:
    async with opened(server) as made:
        yield made


@pytest.fixture
def held(broker: RedisBroker) -> Held:
    """A registry, held up as the test wants."""
    return Held(broker._presence_store)


@pytest.fixture
def crowd(broker: RedisBroker, held: Held) -> LocalPresence:
    """The people of the broker's node, tended only when the test does it."""
    return LocalPresence(held, broker._node, lambda channel, push: None, lambda channel, push: None)


def owned(server: Server, broker: RedisBroker) -> set[bytes]:
    with server.client() as client:
        return set(client.smembers(broker._names.of_node(broker._node)))


async def test_who_leaves_while_being_entered_is_gone(broker: RedisBroker, held: Held, crowd: LocalPresence) -> None:
    held.gate.clear()
    entering = asyncio.ensure_future(crowd.enter("x", ALICE))
    await until(lambda: held.calls == ["enter"])
    leaving = asyncio.ensure_future(crowd.exit("x", ALICE))
    held.gate.set()
    await asyncio.gather(entering, leaving)
    assert held.calls == ["enter", "exit"]
    assert await broker.count_presence("x") == (0, 0)


async def test_who_comes_again_while_being_taken_out_is_there(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    await crowd.enter("x", ALICE)
    held.gate.clear()
    leaving = asyncio.ensure_future(crowd.exit("x", ALICE))
    await until(lambda: held.calls[-1] == "exit")
    entering = asyncio.ensure_future(crowd.enter("x", ALICE))
    held.gate.set()
    await asyncio.gather(entering, leaving)
    assert held.calls == ["enter", "exit", "enter"]
    assert set(await broker.read_presence("x")) == {"a"}


async def test_an_entry_that_nobody_waits_for_any_more_is_taken_out_all_the_same(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    held.gate.clear()
    entering = asyncio.ensure_future(crowd.enter("x", ALICE))
    await until(lambda: held.calls == ["enter"])
    entering.cancel()
    leaving = asyncio.ensure_future(crowd.exit("x", ALICE))
    await asyncio.sleep(0)
    leaving.cancel()
    held.gate.set()
    await asyncio.wait([entering, leaving])
    await until(lambda: not crowd.has_any)
    assert await broker.count_presence("x") == (0, 0)


async def test_an_end_that_could_not_be_told_is_told_later(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    await crowd.enter("x", ALICE)
    held.failure = Unavailable("it is away")
    with pytest.raises(BrokerError, match="it is away"):
        await crowd.exit("x", ALICE)
    assert crowd.has_any
    held.failure = None
    await crowd.tend(broker._lease)
    assert not crowd.has_any
    assert await broker.count_presence("x") == (0, 0)


async def test_who_came_again_is_not_taken_out_for_an_end_that_could_not_be_told(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    await crowd.enter("x", ALICE)
    held.failure = Unanswered("it is away")
    with pytest.raises(BrokerError):
        await crowd.exit("x", ALICE)
    held.failure = None
    await crowd.enter("x", ALICE)
    await crowd.tend(broker._lease)
    assert set(await broker.read_presence("x")) == {"a"}


async def test_who_could_not_be_entered_for_sure_is_not_there(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    held.failure = Unanswered("it is away")
    with pytest.raises(BrokerError, match="it is away"):
        await crowd.enter("x", ALICE)
    held.failure = None
    await broker._presence_store.enter(broker._node, [("x", ALICE)])  # it had arrived
    await crowd.tend(broker._lease)
    assert await broker.count_presence("x") == (0, 0)


async def test_who_leaves_while_all_are_entered_again_is_gone(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    await crowd.enter("x", ALICE)
    await crowd.enter("x", BOB)
    held.gate.clear()
    crowd.mark_disordered()
    ordering = asyncio.ensure_future(crowd.tend(broker._lease))
    await until(lambda: held.calls[2:] == ["enter"])  # of all
    leaving = asyncio.ensure_future(crowd.exit("x", ALICE))
    await until(lambda: held.calls[3:] == ["exit"])
    held.gate.set()
    await asyncio.gather(ordering, leaving)
    await crowd.tend(broker._lease)
    assert set(await broker.read_presence("x")) == {"b"}


async def test_who_leaves_while_all_are_entered_again_is_gone_though_nobody_knows_what_came_of_that(
    broker: RedisBroker, held: Held, crowd: LocalPresence
) -> None:
    await crowd.enter("x", ALICE)
    held.gate.clear()
    held.waiting = {"enter"}
    crowd.mark_disordered()
    ordering = asyncio.ensure_future(crowd.tend(broker._lease))
    await until(lambda: held.calls[1:] == ["enter"])  # of all
    await crowd.exit("x", ALICE)
    held.failure = Unanswered("it is away")
    held.gate.set()
    await ordering
    held.failure = None
    await broker._presence_store.enter(broker._node, [("x", ALICE)])  # it had arrived
    await crowd.tend(broker._lease)
    assert await broker.count_presence("x") == (0, 0)


async def test_what_arrives_late_after_a_disorder_is_taken_out(
    broker: RedisBroker, crowd: LocalPresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowd.enter("x", ALICE)
    await crowd.exit("x", ALICE)
    monkeypatch.setattr(local_presence, "ONCE_MORE", 0.0)
    crowd.mark_disordered()
    await crowd.tend(broker._lease)
    await broker._presence_store.enter(broker._node, [("x", ALICE)])
    await crowd.tend(broker._lease)
    assert await broker.count_presence("x") == (0, 0)


async def test_a_node_that_has_just_come_enters_its_people_once(held: Held, crowd: LocalPresence) -> None:
    lease = Lease(held, "new", b"", crowd.mark_disordered)
    await lease.renew()
    await crowd.enter("x", ALICE)
    await crowd.tend(lease)
    assert held.calls == ["enter"]
    await crowd.exit("x", ALICE)


async def test_a_node_that_redis_forgot_enters_its_people_again(
    broker: RedisBroker, held: Held, crowd: LocalPresence, server: Server
) -> None:
    lease = Lease(held, "new", b"", crowd.mark_disordered)
    await lease.renew()
    await crowd.enter("x", ALICE)
    with server.client() as client:
        client.zrem(broker._names.nodes, "new")
    await lease.renew()
    await crowd.tend(lease)
    assert held.calls.count("enter") == 2
    await crowd.exit("x", ALICE)


async def test_a_channel_is_known_as_a_nodes_own_while_it_has_somebody_there(
    broker: RedisBroker, held: Held, crowd: LocalPresence, server: Server
) -> None:
    await crowd.enter("x", ALICE)
    await crowd.enter("y", ALICE)
    assert owned(server, broker) == {b"x", b"y"}
    await crowd.exit("x", ALICE)
    held.gate.clear()
    tending = asyncio.ensure_future(crowd.tend(broker._lease))
    await until(lambda: held.calls[-1] == "disown")
    held.waiting = {"disown"}
    await crowd.enter("x", BOB)
    held.gate.set()
    await tending
    assert owned(server, broker) == {b"x", b"y"}
    await crowd.exit("x", BOB)
    await crowd.tend(broker._lease)
    assert owned(server, broker) == {b"y"}


async def test_a_node_that_ends_without_people_leaves_nothing(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        await broker.join("x", ALICE, keep=True, tell=False)
        await broker.leave("x", ALICE, tell=False)
    with server.client() as client:
        assert client.keys("*present*") == client.keys("*users*") == client.keys("*node*") == []


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_at_once_who_is_here_is_present_in_the_end(
    broker: RedisBroker, held: Held, crowd: LocalPresence, seed: int
) -> None:
    dice = random.Random(seed)
    held.disturbed = dice
    here: dict[tuple[str, str], bool] = {}

    async def visit(number: int) -> None:
        info = ClientInfo(f"user-{number % 3}", f"client-{number}")
        for _ in range(12):
            channel = f"room-{dice.randrange(3)}"
            coming = dice.random() < 0.5
            method = crowd.enter if coming else crowd.exit
            here[channel, info.client] = coming
            calling = asyncio.ensure_future(method(channel, info))
            for _ in range(dice.randrange(1, 4)):  # once it has begun
                await asyncio.sleep(0)
            if dice.random() < 0.3:
                calling.cancel()
            [outcome] = await asyncio.gather(calling, return_exceptions=True)
            if coming and isinstance(outcome, BrokerError):
                here[channel, info.client] = False

    await asyncio.gather(*(visit(number) for number in range(10)))
    await crowd.close()
    held.disturbed = None
    crowd.mark_disordered()
    for _ in range(3):
        await crowd.tend(broker._lease)
    for room in range(3):
        expected = {client for (channel, client), coming in here.items() if coming and channel == f"room-{room}"}
        # One whose entry nobody waited for may have been refused.
        assert set(crowd._here.get(f"room-{room}", {})) <= expected
        assert set(await broker.read_presence(f"room-{room}")) == set(crowd._here.get(f"room-{room}", {}))
        users = {info.user for info in crowd._here.get(f"room-{room}", {}).values()}
        assert (await broker.count_presence(f"room-{room}")).users == len(users)
    owned = await broker._presence_store.list_owned(broker._node, 100)
    assert {name.decode() for name in owned} == set(crowd._here)


class Frozen(NamedTuple):
    """A node that stood still for longer than its lease, with Alice and Bob connected."""

    crowd: LocalPresence
    lease: Lease
    store: RedisPresenceStore
    told: list[tuple[str, str]]
    node: str = "frozen"

    async def clear(self, *clients: ClientInfo) -> None:
        """Have another node clear up after it, as far as these."""
        assert await self.store.bury(self.node)
        outcomes = await self.store.exit([Gone(self.node, CLIENTS, client) for client in clients])
        assert outcomes == [True] * len(clients)


@pytest.fixture
async def frozen(broker: RedisBroker, server: Server, monkeypatch: pytest.MonkeyPatch) -> Frozen:
    store = broker._presence_store
    told: list[tuple[str, str]] = []
    crowd = LocalPresence(
        store, "frozen", lambda channel, push: None, lambda channel, push: told.append((channel, push.info.client))
    )
    lease = Lease(store, "frozen", b"", crowd.mark_disordered)
    await lease.renew()
    assert not lease.may_be_over
    for client in (ALICE, BOB):
        await crowd.enter(CLIENTS, client)
    monkeypatch.setattr(lease, "_renewed", lease._renewed - 2 * LEASE)
    with server.client() as client:
        client.zadd(broker._names.nodes, {"frozen": 1})
    assert lease.may_be_over
    return Frozen(crowd, lease, store, told)


async def test_a_node_that_comes_back_finds_out_whom_others_took_out(frozen: Frozen) -> None:
    await frozen.clear(ALICE)
    await frozen.crowd.tend(frozen.lease)
    assert frozen.told == [(CLIENTS, ALICE.client)]
    assert not frozen.lease.may_be_over
    assert not await frozen.store.is_buried(frozen.node)
    await frozen.crowd.exit(CLIENTS, ALICE)  # as the hub does, which was told
    await frozen.crowd.exit(CLIENTS, BOB)


async def test_a_redis_that_forgot_everything_took_nobody_out(frozen: Frozen, server: Server) -> None:
    with server.client() as client:
        client.flushall()
    await frozen.crowd.tend(frozen.lease)
    assert frozen.told == []
    assert not frozen.lease.may_be_over
    assert set(await frozen.store.read_presence(CLIENTS)) == {ALICE.client, BOB.client}


async def test_nobody_clears_up_after_a_node_that_is_back(frozen: Frozen, broker: RedisBroker) -> None:
    await frozen.lease.renew()
    assert not await frozen.store.bury(frozen.node)
    await broker._local_presence._clear(frozen.node)  # what it had seen of the nodes was old
    assert set(await frozen.store.read_presence(CLIENTS)) == {ALICE.client, BOB.client}
    assert not await frozen.store.is_buried(frozen.node)


async def test_while_redis_cannot_be_asked_it_stays_open_whether_a_node_is_dead(
    frozen: Frozen, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(node: str) -> bool:
        raise Unavailable("it is away")

    await frozen.clear(ALICE)
    with monkeypatch.context() as away:
        away.setattr(frozen.store, "is_buried", fails)
        await frozen.crowd.tend(frozen.lease)
        assert frozen.lease.may_be_over
        assert set(await frozen.store.read_presence(CLIENTS)) == {BOB.client}  # nobody was entered again unseen
    await frozen.crowd.tend(frozen.lease)
    assert frozen.told == [(CLIENTS, ALICE.client)]
