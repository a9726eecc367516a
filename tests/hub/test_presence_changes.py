"""Who is present is who is subscribed, and joins and leaves are told in the order in which people came and went.

The broker takes its time with each change, one more than the other, as one at the end of a network may.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

import jwt
import pytest

from messageflow.brokers.memory import MemoryBroker
from messageflow.core import control
from messageflow.core.claims import SubscribeOptions
from messageflow.core.client_info import ClientInfo
from messageflow.errors import BrokerError
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import SECRET, World

CHANNEL = "open:x"
Change = Literal["join", "leave"]


class SlowBroker(MemoryBroker):
    """A memory broker that lets the test say when a change of presence happens, and whether.

    Attributes:
        turns: how many turns of the loop each kind of change takes before it happens.
        failing: kinds of change of which the next one fails.
        held: when set, changes wait for it.
        waiting: how many changes are under way.
    """

    def __init__(self, world_clock: Any, turns: dict[Change, int] | None = None) -> None:
        super().__init__(clock=world_clock)
        self.turns = turns or {"join": 1, "leave": 20}
        self.failing: set[Change] = set()
        self.held: asyncio.Event | None = None
        self.waiting = 0
        self.gates: list[asyncio.Event] = []

    def hold(self) -> asyncio.Event:
        """Let changes wait from now on; those that came meanwhile go on when the event is set."""
        self.held = asyncio.Event()
        self.gates.append(self.held)
        return self.held

    async def join(self, channel: str, info: ClientInfo, *, keep: bool, tell: bool) -> None:
        await self._take_time("join", channel)
        await super().join(channel, info, keep=keep, tell=tell)

    async def leave(self, channel: str, info: ClientInfo, *, tell: bool) -> None:
        await self._take_time("leave", channel)
        await super().leave(channel, info, tell=tell)

    async def _take_time(self, change: Change, channel: str) -> None:
        if channel != CHANNEL:
            return
        self.waiting += 1
        try:
            for _ in range(self.turns[change]):
                await asyncio.sleep(0)
            if self.held is not None:
                await self.held.wait()
            if change in self.failing:
                self.failing.discard(change)
                raise BrokerError("the broker is told to fail")
        finally:
            self.waiting -= 1


@pytest.fixture(params=[(1, 20), (20, 1), (7, 7)], ids=["slow leaves", "slow joins", "both alike"])
def broker(request: pytest.FixtureRequest) -> MemoryBroker:
    join, leave = request.param
    return SlowBroker(lambda: 0.0, {"join": join, "leave": leave})


@pytest.fixture
async def world(broker: MemoryBroker) -> AsyncIterator[World]:
    made = World(broker=broker)
    await made.hub.start()
    yield made
    slow(made).held = None
    for gate in slow(made).gates:
        gate.set()
    await made.close()


def slow(world: World) -> SlowBroker:
    assert isinstance(world.broker, SlowBroker)
    return world.broker


def told(watcher: MemoryConnection, user: str) -> list[str]:
    """Return what a watcher was told of a user, in order."""
    pushes = [message.get("push", {}) for message in watcher.written]
    return [
        kind for push in pushes for kind in ("join", "leave") if push.get(kind, {}).get("info", {}).get("user") == user
    ]


async def watching(world: World) -> MemoryConnection:
    return await world.subscribed("watcher", CHANNEL, join_leave=True)


async def present(world: World) -> dict[str, str]:
    """Return the users in the channel by client, without the watcher."""
    found = await world.broker.read_presence(CHANNEL)
    return {client: info.user for client, info in found.items() if info.user != "watcher"}


async def quiet(world: World) -> None:
    """Return when no change is under way any more."""
    still = 0
    for _ in range(2000):
        await asyncio.sleep(0)
        still = 0 if slow(world).waiting or world.hub.presence.under_way else still + 1
        if still == 60:
            return
    raise AssertionError("changes of presence do not end")


def frame(kinds: Iterable[str], first: int = 10) -> list[dict[str, Any]]:
    return [{"id": number, kind: {"channel": CHANNEL}} for number, kind in enumerate(kinds, first)]


async def test_who_leaves_and_comes_back_in_one_frame_is_present(world: World) -> None:
    watcher = await watching(world)
    alice = await world.subscribed("alice", CHANNEL)
    alice.send(*frame(["unsubscribe", "subscribe"]))
    await quiet(world)
    assert "subscribe" in alice.replies(11)[0]
    assert list((await present(world)).values()) == ["alice"]
    assert told(watcher, "alice") == ["join", "leave", "join"]


@pytest.mark.parametrize("stays", [True, False])
async def test_fast_churn_ends_as_the_last_command_says(world: World, stays: bool) -> None:
    watcher = await watching(world)
    alice = await world.subscribed("alice", CHANNEL)
    commands = ["unsubscribe", "subscribe"] * 40 + ([] if stays else ["unsubscribe"])
    alice.send(*frame(commands))
    await quiet(world)
    assert list((await present(world)).values()) == ["alice"] * stays
    assert told(watcher, "alice") == ["join", *(["leave", "join"] * 40), *([] if stays else ["leave"])]


async def test_changes_of_one_client_wait_for_nobody_else(world: World) -> None:
    alice = await world.subscribed("alice", CHANNEL)
    gate = slow(world).hold()
    alice.send(*frame(["unsubscribe", "subscribe"]))
    await world.settle()
    slow(world).held = None
    bob = await world.connected("bob")
    bob.send(*frame(["subscribe"]))
    await world.settle()
    assert "subscribe" in bob.replies(10)[0]
    gate.set()
    await quiet(world)
    assert sorted((await present(world)).values()) == ["alice", "bob"]


async def decide(world: World, *messages: control.Control) -> None:
    """Let the server decide several things in one tick, as a batch of its API does."""
    for message in messages:
        await world.broker.send_control(control.encode_control(message))
    await quiet(world)


def server_subscribes(user: str = "alice") -> control.SubscribeUser:
    return control.SubscribeUser(user, CHANNEL, options=SubscribeOptions(presence=True, join_leave=True))


def server_unsubscribes(user: str = "alice") -> control.UnsubscribeUser:
    return control.UnsubscribeUser(user, CHANNEL)


async def test_a_batch_of_the_server_ends_as_its_last_call_says(world: World) -> None:
    watcher = await watching(world)
    tabs = [await world.connected("alice") for _ in range(3)]
    await decide(world, server_subscribes(), server_unsubscribes())
    assert await present(world) == {}
    assert not any(tab.session.is_in(CHANNEL) for tab in tabs if tab.session)
    await decide(world, server_subscribes())
    assert len(await present(world)) == 3
    await decide(world, server_unsubscribes(), server_subscribes())
    assert len(await present(world)) == 3
    history = told(watcher, "alice")
    assert history.count("join") - history.count("leave") == 3
    await world.publish(CHANNEL, 1)
    assert [len(tab.publications(CHANNEL)) for tab in tabs] == [1, 1, 1]


async def test_what_the_server_decides_beats_what_a_client_began(world: World) -> None:
    alice = await world.connected("alice")
    alice.send(*frame(["subscribe"]))
    await asyncio.sleep(0)
    await decide(world, server_unsubscribes())
    assert await present(world) == {}
    assert CHANNEL not in world.hub.channels


async def test_who_comes_again_after_a_decision_cut_them_off_is_present(world: World) -> None:
    watcher = await watching(world)
    alice = await world.connected("alice")
    gate = slow(world).hold()
    alice.send(*frame(["subscribe", "subscribe"]))
    await world.settle()
    await world.broker.send_control(control.encode_control(server_unsubscribes()))
    slow(world).held = None
    gate.set()
    await quiet(world)
    assert alice.replies(10)[0]["error"]["code"] == 103
    assert "subscribe" in alice.replies(11)[0]
    assert list((await present(world)).values()) == ["alice"]
    assert told(watcher, "alice") == ["join", "leave", "join"]


async def test_who_is_lost_while_the_broker_enters_them_is_absent(world: World) -> None:
    watcher = await watching(world)
    alice = await world.connected("alice")
    gate = slow(world).hold()
    alice.send(*frame(["subscribe"]))
    await world.settle()
    assert slow(world).waiting == 1
    alice.lose()
    await world.settle()
    slow(world).held = None
    gate.set()
    await quiet(world)
    assert await present(world) == {}
    assert told(watcher, "alice") == ["join", "leave"]
    assert not alice.replies(10), "nothing is written to a connection that has ended"


async def test_who_is_lost_while_they_wait_to_come_back_is_absent(world: World) -> None:
    watcher = await watching(world)
    alice = await world.subscribed("alice", CHANNEL)
    gate = slow(world).hold()
    alice.send(*frame(["unsubscribe", "subscribe"]))
    await world.settle()
    alice.lose()
    await world.settle()
    slow(world).held = None
    gate.set()
    await quiet(world)
    assert await present(world) == {}
    assert told(watcher, "alice") == ["join", "leave"]


async def test_an_entry_that_fails_leaves_nothing_and_keeps_nobody_out(world: World) -> None:
    alice = await world.connected("alice")
    slow(world).failing = {"join"}
    alice.send(*frame(["subscribe"]))
    await quiet(world)
    assert alice.replies(10)[0]["error"]["code"] == 100
    assert await present(world) == {}
    slow(world).failing = {"leave"}
    alice.send(*frame(["subscribe", "unsubscribe", "subscribe"], 20))
    await quiet(world)
    assert "subscribe" in alice.replies(22)[0]
    assert list((await present(world)).values()) == ["alice"]


async def test_a_failure_after_the_client_has_gone_is_nobodys_to_hear(world: World) -> None:
    alice = await world.connected("alice")
    gate = slow(world).hold()
    slow(world).failing = {"join"}
    alice.send(*frame(["subscribe"]))
    await world.settle()
    alice.lose()
    gate.set()
    slow(world).held = None
    await quiet(world)
    assert not alice.replies(10)
    assert await present(world) == {}


async def test_a_hub_that_ends_takes_everybody_out(broker: MemoryBroker) -> None:
    world = World(broker=broker)
    await world.hub.start()
    alice = await world.subscribed("alice", CHANNEL)
    alice.send(*frame(["unsubscribe", "subscribe"]))
    await asyncio.sleep(0)
    await world.hub.close()
    assert await world.broker.read_presence(CHANNEL) == {}


# Decisions about who is not in yet


async def test_decisions_about_a_client_that_is_connecting_follow_its_answer(world: World) -> None:
    connection = world.connection()
    gate = slow(world).hold()
    connection.send({"id": 1, "connect": {"token": world.token("alice", channels=[CHANNEL])}})
    await world.settle()
    for message in (server_unsubscribes(), server_subscribes(), control.UnsubscribeUser("alice", "#alice")):
        await world.broker.send_control(control.encode_control(message))
    await world.settle()
    assert connection.written == []
    slow(world).held = None
    gate.set()
    await quiet(world)
    first, *pushes = [message for message in connection.written if "pub" not in message.get("push", {})]
    assert set(first["connect"]["subs"]) == {"#alice", "*", CHANNEL}
    kinds = [(push["push"]["channel"], next(k for k in push["push"] if k != "channel")) for push in pushes]
    assert kinds == [(CHANNEL, "unsubscribe"), ("#alice", "unsubscribe"), (CHANNEL, "subscribe")]
    assert list((await present(world)).values()) == ["alice"]
    assert world.hub.control.deferred == {}


async def test_a_client_that_is_connecting_can_be_sent_away_at_once(world: World) -> None:
    connection = world.connection()
    gate = slow(world).hold()
    connection.send({"id": 1, "connect": {"token": world.token("alice", channels=[CHANNEL])}})
    await world.settle()
    await world.broker.send_control(control.encode_control(server_subscribes()))
    await world.broker.send_control(control.encode_control(control.DisconnectUser("alice")))
    assert connection.closed is not None
    assert connection.closed.code == 3503
    assert world.hub.control.deferred == {}
    gate.set()
    await quiet(world)
    assert await present(world) == {}


# What is shown


def subscription_token(world: World, **claims: Any) -> str:
    claims = {"sub": "alice", "channel": CHANNEL, "exp": world.wall() + 60, **claims}
    return jwt.encode(claims, SECRET, "HS256")


async def shown(world: World) -> list[Any]:
    """Return what the channel shows of everybody in it: of the connection, and of the subscription."""
    watcher = await world.connected("watcher")
    watcher.send({"id": 9, "presence": {"channel": CHANNEL}})
    await world.settle()
    everybody = watcher.replies(9)[0]["presence"]["presence"].values()
    return [(info.get("conn_info"), info.get("chan_info")) for info in everybody]


async def test_who_comes_back_as_somebody_else_is_shown_once_and_anew(world: World) -> None:
    alice = await world.subscribed("alice", CHANNEL, token=subscription_token(world, info={"seat": 1}))
    again = {"channel": CHANNEL, "token": subscription_token(world, info={"seat": 2})}
    alice.send({"id": 3, "unsubscribe": {"channel": CHANNEL}}, {"id": 4, "subscribe": again})
    await quiet(world)
    assert await shown(world) == [(None, {"seat": 2})]


async def test_a_refresh_shows_what_the_new_token_says(world: World) -> None:
    alice = await world.connected("alice", info={"name": "Alice"})
    alice.send({"id": 2, "subscribe": {"channel": CHANNEL, "token": subscription_token(world, info={"seat": 1})}})
    await quiet(world)
    alice.send({"id": 3, "refresh": {"token": world.token("alice", info={"name": "Al"})}})
    await quiet(world)
    assert await shown(world) == [({"name": "Al"}, {"seat": 1})]
    token = subscription_token(world, info={"seat": 2})
    alice.send({"id": 4, "sub_refresh": {"channel": CHANNEL, "token": token}})
    await quiet(world)
    assert await shown(world) == [({"name": "Al"}, {"seat": 2})]
    alice.send({"id": 5, "refresh": {"token": world.token("alice")}})  # says nothing of who they are
    alice.lose()
    await quiet(world)
    assert await shown(world) == []
