"""What clients ask for: they get it as fast as they take it, in bounded pieces, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from messageflow.brokers.base import HistoryPart
from messageflow.core import control
from messageflow.core.channels import REVOKED
from messageflow.core.command_meter import CommandMeter, Verdict
from messageflow.core.revocations import Revocation, encode_revocation
from messageflow.core.stream import Item, Retention
from messageflow.hub import command_queue, control_handler, revocation_list
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.hooks import Hooks, RpcAnswer, RpcQuestion
from messageflow.hub.limits import Limits, message_size
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.waiting import until

HISTORY = {"channel": "open:x", "limit": -1}


@pytest.fixture
async def paced() -> AsyncIterator[World]:
    """A hub that gives out 40 bytes a second, and 10 at once."""
    world = World(Limits(history=HistoryLimits(recovery_rate=40)))
    await world.hub.start()
    yield world
    await world.close()


async def fill(world: World, count: int, size: int, *, info: bytes = b"", tags: bytes = b"") -> None:
    data = b'"%b"' % (b"x" * (size - 2))
    await world.broker.publish([Item("open:x", data, Retention(1000, 600), info=info, tags=tags)] * count)


def ids(connection: MemoryConnection) -> list[int]:
    return [message["id"] for message in connection.written if message.get("id", 0) > 1]


async def test_commands_of_a_session_that_does_not_read_wait(world: World) -> None:
    await fill(world, 10, 100)
    connection = await world.connected("alice")
    connection.fill()
    connection.send(*({"id": number, "history": HISTORY} for number in range(2, 101)))
    await world.settle()
    assert ids(connection) == []
    for answered in range(1, 100):
        connection.fill(after=1)
        connection.empty()
        await world.settle()
        assert ids(connection) == list(range(2, 2 + answered))
    connection.empty()
    await world.settle()
    assert connection.reading


async def test_a_session_that_waits_is_read_from_until_too_much_waits(world: World) -> None:
    connection = await world.connected("alice")
    connection.fill(after=1)
    connection.send(*({"id": number, "presence_stats": {"channel": "open:x"}} for number in range(2, 5)))
    await world.settle()
    assert (ids(connection), connection.reading) == ([2], True)
    for number in range(5, 257):
        connection.send({"id": number, "presence_stats": {"channel": "open:x"}})
    assert connection.reading
    connection.send(*({"id": number, "presence_stats": {"channel": "open:x"}} for number in (257, 258, 259)))
    assert not connection.reading
    connection.empty()
    assert not connection.reading
    await world.settle()
    assert (ids(connection), connection.reading) == (list(range(2, 260)), True)


async def test_few_but_large_commands_that_wait_are_bounded_in_bytes(world: World) -> None:
    large = {"publish": {"channel": "open:x", "data": "x" * 22_000}}
    connection, quick = await world.connected("alice"), await world.connected("bob")
    connection.fill()
    for _ in range(2):
        for number in range(2, 4):
            connection.send({"id": number, **large})
            assert connection.reading
        connection.send({"id": 4, **large})
        assert not connection.reading
        connection.empty()
        await world.settle()
        assert connection.reading
        connection.fill()  # what waited before does not count again
    for number in range(2, 12):
        quick.send({"id": number, **large})
    assert quick.reading  # and only for who does not take the answers
    await world.settle()


async def test_who_lags_is_gone_with_all_it_asked_for_when_it_leaves(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    connection.fill()
    connection.send({"id": 9, "publish": {"channel": "open:x", "data": 1}})
    await world.settle()
    connection.lose()
    await world.settle()
    assert connection.session is not None
    assert connection.session.closed
    assert not connection.publications("open:x")
    assert not (await world.broker.read_page("open:x")).publications


async def test_who_lags_and_answers_a_ping_has_answered(world: World) -> None:
    connection = await world.connected("alice")
    session_ = connection.session
    assert session_ is not None
    connection.answers_pings = False
    session_.pings += 1
    connection.fill()
    session_.pong()
    assert (session_.pings, connection.closed, connection.reading) == (0, None, True)


@pytest.mark.parametrize("gone", [False, True])
async def test_who_is_not_read_from_is_not_taken_for_silent(gone: bool) -> None:
    """Its pong lies behind commands that are not read yet, as those of a page that had much to tell after an outage."""
    over = asyncio.Event()

    async def take_long(question: RpcQuestion) -> RpcAnswer:
        await over.wait()
        return RpcAnswer(b"1")

    world = World(hooks=Hooks(rpc=take_long))
    await world.hub.start()
    connection = await world.connected("alice")
    connection.answers_pings = False
    connection.send(*({"id": number, "rpc": {"method": "x"}} for number in range(2, 300)))
    await world.settle()
    assert not connection.reading
    connection.peer_is_gone = gone  # which its system tells, where it does not
    await world.pass_time(120)
    assert (connection.closed is not None) is gone
    over.set()
    if not gone:
        await until(lambda: connection.reading)
        await world.pass_time(120)  # and now it is heard, and says nothing
        assert connection.closed is not None
        assert connection.closed.code == 3012
    await world.close()


@pytest.mark.parametrize("gone", [False, True])
async def test_who_takes_slowly_what_lies_before_a_ping_is_not_taken_for_silent(world: World, gone: bool) -> None:
    """64 KiB in the kernel, none of them in the transport, are 16 s of a link of 4 KB/s."""
    await world.hub.start()
    connection = await world.connected("alice")
    connection.answers_pings = False
    connection.slow = True
    connection.peer_is_gone = gone  # which its system tells, where it does not
    await world.pass_time(120)
    assert (connection.closed is not None) is gone
    connection.slow = False  # it has all now, the ping too, and says nothing
    await world.pass_time(120)
    assert connection.closed is not None
    assert connection.closed.code == 3012


async def test_waiting_commands_keep_their_share_of_the_rate() -> None:
    world = World(Limits(commands_per_second=1, channels_per_connection=1))
    await world.hub.start()
    connection = await world.connected("alice")
    connection.fill(after=295)
    connection.send(*({"id": number, "presence_stats": {"channel": "open:x"}} for number in range(2, 310)))
    await world.settle()
    assert connection.session is not None
    connection.session.rest()  # as at a ping: what waits is no reason to begin anew
    connection.empty()
    await world.settle()
    refused = [message["id"] for message in connection.written if "error" in message]
    assert refused == list(range(301, 310))
    await world.close()


async def test_a_page_of_the_history_is_bounded_in_bytes(world: World) -> None:
    await fill(world, 20, 60_000)
    connection = await world.connected("alice")
    connection.send({"id": 2, "history": HISTORY}, {"id": 3, "history": {**HISTORY, "reverse": True}})
    await world.settle()
    first, last = ([p["offset"] for p in connection.replies(each)[0]["history"]["publications"]] for each in (2, 3))
    assert (first, last) == ([1, 2, 3, 4], [20, 19, 18, 17])


async def test_no_more_is_read_than_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(world, 20, 60_000)
    position = (await world.broker.read_page("open:x", None, 1)).position
    read: list[int] = []
    page, since = world.broker.read_page, world.broker.read_since

    async def counted_page(*asked: Any, **how: Any) -> HistoryPart:
        read.append(len((found := await page(*asked, **how)).publications))
        return found

    async def counted_since(*asked: Any) -> HistoryPart:
        read.append(len((found := await since(*asked)).publications))
        return found

    monkeypatch.setattr(world.broker, "read_page", counted_page)
    monkeypatch.setattr(world.broker, "read_since", counted_since)
    connection = await world.connected("alice")
    read.clear()
    connection.send({"id": 2, "history": HISTORY})
    await world.settle()
    assert read == [4]
    recover = {"channel": "open:x", "recover": True, "epoch": position.epoch, "offset": 0}
    connection.send({"id": 3, "subscribe": recover})
    await world.settle()
    assert read[1] == 4


@pytest.mark.parametrize("extra", ["info", "tags"])
async def test_all_that_is_sent_weighs(world: World, extra: str) -> None:
    large = b'{"a":"%b"}' % (b"x" * 60_000)
    await fill(world, 20, 10, info=large if extra == "info" else b"", tags=large if extra == "tags" else b"")
    connection = await world.connected("alice")
    connection.send({"id": 2, "history": HISTORY})
    held = {"recover": True, "epoch": (await world.broker.read_page("open:x")).position.epoch}
    connection.send({"id": 3, "subscribe": {"channel": "open:x", **held}})
    await world.settle()
    assert len(connection.replies(2)[0]["history"]["publications"]) == 4
    assert len(connection.replies(3)[0]["subscribe"]["publications"]) == 4
    assert len(connection.publications("open:x")) == 20


async def test_one_that_is_larger_than_a_page_is_given_all_the_same(world: World) -> None:
    await fill(world, 2, 300_000)
    connection = await world.connected("alice")
    connection.send({"id": 2, "history": HISTORY})
    await world.settle()
    assert len(connection.replies(2)[0]["history"]["publications"]) == 1


@pytest.mark.parametrize("question", ["history", "presence", "presence_stats"])
async def test_what_is_asked_for_has_a_pace_of_its_own(
    paced: World, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who waits looks at the hub's clock again at each turn, in place of sleeping for twenty seconds of the real one.
    monkeypatch.setattr(paced.hub.reply_limiter, "_sleep", lambda _: asyncio.sleep(0))
    await fill(paced, 5, 100)
    for number in range(2):
        await paced.subscribed(f"there{number}", "open:x")
    first, second = await paced.connected("first"), await paced.connected("second")
    for connection in (first, second):
        connection.send({"id": 2, question: HISTORY if question == "history" else {"channel": "open:x"}})
        await paced.settle()
    assert (ids(first), ids(second)) == ([2], [])
    assert paced.hub.recovery_limiter.debt == 0  # who recovers does not wait for it
    debt = paced.hub.reply_limiter.debt
    assert debt > 3
    await paced.settle()
    assert ids(second) == []
    paced.clock.advance(debt + 0.1)
    while not ids(second):
        await paced.settle()


async def test_who_asks_much_lets_others_have_their_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_queue, "WORK_SECONDS", -1)
    alice, bob = [await world.connected(user) for user in ("alice", "bob")]
    for connection in (alice, bob):
        connection.send(*({"id": number, "presence_stats": {"channel": "open:x"}} for number in range(2, 7)))
    most = before = 0
    while len(ids(alice)) + len(ids(bob)) < 10:
        await asyncio.sleep(0)
        most, before = max(most, len(ids(alice)) - before), len(ids(alice))
    assert most == 1  # a turn


async def test_a_publication_of_a_client_is_bounded_with_all_that_it_carries() -> None:
    world = World(Limits(payload_size_limit=300))
    await world.hub.start()
    connection = await world.connected("alice", info={"name": "x" * 100})
    for number, size in enumerate((50, 150), 2):
        connection.send({"id": number, "publish": {"channel": "open:x", "data": "x" * size}})
    await world.settle()
    assert "publish" in connection.replies(2)[0]
    assert connection.replies(3)[0]["error"]["code"] == 106
    await world.close()


# Decisions about a user with very many sessions


async def crowd(world: World, count: int) -> list[MemoryConnection]:
    return [await world.connected("alice") for _ in range(count)]


@pytest.fixture
async def unlimited() -> AsyncIterator[World]:
    world = World(Limits(connections_per_user=0))
    await world.hub.start()
    yield world
    await world.close()


async def test_a_decision_about_many_sessions_is_carried_out_in_slices(unlimited: World) -> None:
    world = unlimited
    connections = await crowd(world, 250)
    spared = connections[-1].session
    assert spared is not None
    message = control.DisconnectUser("alice", spare=frozenset({spared.client}))
    world.hub.on_control(control.encode_control(message))
    assert sum(bool(connection.closed) for connection in connections) == control_handler.SLICE
    await world.settle()
    assert [bool(connection.closed) for connection in connections] == [True] * 249 + [False]
    assert world.hub.users["alice"] == (spared,)


async def test_decisions_about_many_sessions_take_effect_in_their_order(unlimited: World) -> None:
    world = unlimited
    connections = await crowd(world, 150)
    for message in (
        control.SubscribeUser("alice", "open:x"),
        control.UnsubscribeUser("alice", "open:x"),
        control.SubscribeUser("alice", "open:y"),
    ):
        world.hub.on_control(control.encode_control(message))
    await world.settle()
    for connection in connections:
        pushed = [m["push"] for m in connection.written if "push" in m]
        assert [(next(iter(p.keys() - {"channel"})), p["channel"]) for p in pushed] == [
            ("subscribe", "open:x"),
            ("unsubscribe", "open:x"),
            ("subscribe", "open:y"),
        ]


async def test_a_revocation_ends_many_sessions_in_slices(unlimited: World) -> None:
    world = unlimited
    connections = [await world.connected("alice", iat=world.wall() - 10) for _ in range(250)]
    item = Item(REVOKED, encode_revocation(Revocation("alice", world.wall())), Retention(10, 600))
    await world.broker.publish([item])
    assert sum(bool(connection.closed) for connection in connections) == revocation_list.SLICE
    await world.settle()
    assert all(connection.closed and connection.closed.code == 3005 for connection in connections)


# Limits that belong together


@pytest.mark.parametrize("channels", [1, 128, 1000])
@pytest.mark.parametrize("rate", [1, 50, 500])
def test_a_connection_may_subscribe_twice_at_once_to_all_that_it_may_hold(channels: int, rate: int) -> None:
    limits = Limits(commands_per_second=rate, channels_per_connection=channels)
    meter, full_at = CommandMeter(rate, limits.burst), 0.0
    for _ in range(2 * channels + 100):
        verdict, full_at = meter.take(full_at, 0.0)
        assert verdict is Verdict.ACCEPT
    assert limits.burst >= 5 * rate
    assert limits.commands_in_frame > channels


async def test_a_page_with_a_thousand_channels_comes_back_in_one_frame() -> None:
    world = World(Limits(channels_per_connection=1002))
    await world.hub.start()
    connection = await world.connected("alice")
    commands = [
        {
            "id": number,
            "subscribe": {
                "channel": f"open:a-document-with-a-long-name-{number}",
                "recover": True,
                "epoch": "abcdefghijk",
                "offset": 1_000_000,
                "tag": "0123456789ab",
            },
        }
        for number in range(2, 1002)
    ]
    assert len("\n".join(map(json.dumps, commands))) < message_size(1002, 1024)
    connection.send(*commands)
    while len(ids(connection)) < 1000:
        await world.settle()
    assert not any("error" in message for message in connection.written)
    await world.close()


def test_the_burst_is_as_documented() -> None:
    assert Limits().burst == 356
    assert Limits(commands_per_second=100).burst == 500
    assert Limits(commands_per_second=1, channels_per_connection=1).burst == 300
    assert (message_size(1, 1024), message_size(128, 1024), message_size(1000, 1024)) == (65_536, 131_072, 1_024_000)
    assert message_size(1, 1 << 20) == 2 << 20
