"""What the broker failed to deliver reaches the live sessions all the same: once, in order, or they are sent away."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import HistoryPart
from messageflow.core.stream import Item, Position, Retention
from messageflow.errors import Unavailable
from messageflow.hub import fan_out, gap_repair, history_reader
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker


@pytest.fixture
async def broker() -> DistantBroker:
    return DistantBroker()


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gap_repair, history_reader):
        monkeypatch.setattr(module, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(history_reader, "ATTEMPTS", 6)


def offsets(connection: MemoryConnection, channel: str = "open:x") -> list[int]:
    return [publication["offset"] for publication in connection.publications(channel)]


def sent_away(connection: MemoryConnection) -> list[int]:
    """Return the codes with which a connection was told to come back."""
    pushes = [message.get("push", {}) for message in connection.written]
    codes: list[int] = [push["unsubscribe"]["code"] for push in pushes if "unsubscribe" in push]
    return codes + ([connection.closed.code] if connection.closed else [])


async def lose(world: World, channel: str, *data: Any) -> None:
    """Publish what never arrives."""
    world.broker.link.lose = len(data)  # type: ignore[attr-defined]
    await world.publish(channel, *data)


async def test_a_gap_is_filled_from_the_history(world: World) -> None:
    subscriber, held = await world.subscribed("alice", "open:x"), await world.connected("bob", channels=["open:x"])
    await world.publish("open:x", 1)
    await lose(world, "open:x", 2, 3)
    await world.publish("open:x", 4)
    await world.publish("open:x", 5)
    for connection in (subscriber, held):
        assert [p["data"] for p in connection.publications("open:x")] == [1, 2, 3, 4, 5]
        assert sent_away(connection) == []
    assert (world.hub.counters.gaps, world.hub.counters.healed, world.hub.counters.unhealed) == (1, 1, 0)


async def test_what_arrives_while_the_history_is_read_follows_it(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    await lose(world, "open:x", 1)
    broker.gate.clear()
    for number in range(2, 30):
        await world.publish("open:x", number)
    assert offsets(connection) == []
    broker.gate.set()
    await world.settle()
    assert offsets(connection) == list(range(1, 30))
    assert len(broker.reads) == 1


async def test_what_comes_late_is_not_delivered_again(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    broker.link.holding = True
    await world.publish("open:x", 1, 2, 3)
    broker.link.release(list.reverse)
    await world.settle()
    await world.publish("open:x", 4)
    assert offsets(connection) == [1, 2, 3, 4]


async def test_a_gap_after_a_gap_is_filled_too(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    await lose(world, "open:x", 1)
    broker.gate.clear()
    await world.publish("open:x", 2)
    await lose(world, "open:x", 3)
    await world.publish("open:x", 4)
    broker.gate.set()
    await world.settle()
    assert offsets(connection) == [1, 2, 3, 4]


async def test_a_gap_found_while_the_last_one_is_flushed_is_filled_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.subscribed("alice", "open:x")
    await lose(world, "open:x", 1)
    monkeypatch.setattr(fan_out, "GATHER_TURNS", 250)
    monkeypatch.setattr(fan_out, "CHEAP", -1.0)
    await world.publish("open:x", 2)
    await lose(world, "open:x", 3)
    await world.publish("open:x", 4)
    for _ in range(15):
        await world.settle()
    assert offsets(connection) == [1, 2, 3, 4]


async def test_a_gap_before_anybody_is_in_is_filled_without_waiting_for_more(
    world: World, broker: DistantBroker
) -> None:
    connection = await world.connected("alice")
    broker.gate.clear()
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    await lose(world, "open:x", 1)
    await world.publish("open:x", 2)
    broker.gate.set()
    await world.settle()
    assert offsets(connection) == [1, 2]


async def test_a_long_gap_is_filled_chunk_by_chunk(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    await lose(world, "open:x", *range(800))
    await world.publish("open:x", 800)
    assert offsets(connection) == list(range(1, 802))
    assert len(broker.reads) == 3


async def test_what_is_held_is_bounded_and_nothing_is_missing(
    world: World, broker: DistantBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messageflow.core.replay_buffer.KEPT_BYTES", 2000)
    connection = await world.subscribed("alice", "open:x")
    await lose(world, "open:x", 1)
    broker.gate.clear()
    for number in range(2, 100):
        await world.publish("open:x", number)
    broker.gate.set()
    await world.settle()
    assert offsets(connection) == list(range(1, 100))


async def test_a_slow_reader_and_one_on_the_way_in_are_not_disturbed(world: World, broker: DistantBroker) -> None:
    slow, entering = await world.subscribed("slow", "open:x"), await world.connected("entering")
    first = (await world.publish("open:x", 1))[0].position
    slow.fill()
    await lose(world, "open:x", 2)
    broker.gate.clear()
    await world.publish("open:x", 3)
    request = {"channel": "open:x", "recover": True, "epoch": first.epoch, "offset": 1, "tag": first.tag}
    entering.send({"id": 2, "subscribe": request})
    await world.settle()
    slow.empty()
    await world.publish("open:x", 4)
    broker.gate.set()
    await world.settle()
    assert offsets(slow) == [1, 2, 3, 4]
    assert entering.replies(2)[0]["subscribe"]["recovered"]
    assert offsets(entering) == [2, 3, 4]


# When the history cannot give it


async def test_out_of_the_window_everybody_is_sent_away(world: World) -> None:
    subscriber, held = await world.subscribed("alice", "short:x"), await world.connected("bob", channels=["short:x"])
    await lose(world, "short:x", *range(5))
    await world.publish("short:x", 5)
    assert (sent_away(subscriber), sent_away(held)) == ([2500], [3010])
    assert offsets(subscriber, "short:x") == []
    assert world.hub.counters.unhealed == 1


async def test_another_epoch_sends_everybody_away_at_once(world: World) -> None:
    subscriber = await world.subscribed("alice", "open:x")
    stored = await world.publish("open:x", 1)
    page = await world.broker.read_page("open:x", None, 1)
    world.hub.on_publication("open:x", stored[0].position.epoch + "-another", replace(page.publications[0], offset=2))
    assert sent_away(subscriber) == [2500]


async def test_another_epoch_is_noticed_while_the_history_of_the_old_one_is_read(
    world: World, broker: DistantBroker
) -> None:
    connection = await world.connected("alice")
    await world.publish("open:x", 1, 2)
    broker.gate.clear()
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    broker._streams._streams.clear()
    broker._streams.epoch = "another"
    await world.publish("open:x", 1, 2, 3)
    broker.gate.set()
    await world.settle()
    assert (connection.replies(2)[0]["subscribe"]["offset"], offsets(connection)) == (2, [])
    assert sent_away(connection) == [2500]


async def test_a_broker_that_fails_for_a_while_is_asked_again(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    broker.failing = history_reader.ATTEMPTS - 1
    await lose(world, "open:x", 1)
    await world.publish("open:x", 2)
    assert offsets(connection) == [1, 2]
    assert sent_away(connection) == []


async def test_a_broker_that_fails_for_long_is_given_up(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    broker.failing = history_reader.ATTEMPTS
    await lose(world, "open:x", 1)
    await world.publish("open:x", 2)
    assert sent_away(connection) == [2500]


async def test_who_was_sent_away_comes_back_and_misses_nothing(world: World, broker: DistantBroker) -> None:
    connection = await world.subscribed("alice", "open:x")
    first = (await world.publish("open:x", 1))[0].position
    broker.failing = history_reader.ATTEMPTS
    await lose(world, "open:x", 2)
    await world.publish("open:x", 3)
    request = {"channel": "open:x", "recover": True, "epoch": first.epoch, "offset": 1, "tag": first.tag}
    connection.send({"id": 3, "subscribe": request})
    await world.settle()
    await world.publish("open:x", 4)
    assert offsets(connection) == [1, 2, 3, 4]


async def test_channels_that_cannot_be_read_do_not_stand_in_the_way_of_others(
    world: World, broker: DistantBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [f"open:away{number}" for number in range(2 * gap_repair.AT_ONCE)]
    others = []
    for name in away:
        others.append(await world.subscribed(f"user-of-{name}", name))
        await world.publish(name, 1)
    connection = await world.subscribed("alice", "open:x")
    await world.publish("open:x", 1)
    since = broker.read_since

    async def only_x(
        channel: str, position: Position, limit: int | None = None, size: int | None = None
    ) -> HistoryPart:
        if channel in away:
            raise Unavailable("its shard is away")
        return await since(channel, position, limit, size)

    monkeypatch.setattr(broker, "read_since", only_x)
    monkeypatch.setattr(history_reader, "FIRST_DELAY", 60.0)
    await lose(world, "open:x", 2)
    world.hub.on_doubt()
    await world.settle()
    assert offsets(connection) == [1, 2]
    assert [sent_away(other) for other in others] == [[]] * len(others)


# Doubt


async def test_in_doubt_the_last_publication_is_found_though_nothing_follows(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    await world.publish("open:x", 1)
    await lose(world, "open:x", 2)
    assert offsets(connection) == [1]
    world.hub.on_doubt()
    await world.settle()
    assert offsets(connection) == [1, 2]


async def test_in_doubt_what_is_whole_is_left_alone(world: World) -> None:
    connection, bare = await world.subscribed("alice", "open:x"), await world.subscribed("bob", "bare:x")
    await world.publish("open:x", 1)
    world.hub.on_doubt()
    await world.settle()
    assert (offsets(connection), sent_away(connection), sent_away(bare)) == ([1], [], [])
    assert world.hub.counters.healed == 0


@pytest.mark.parametrize("tail", [0, 2], ids=["the stream is gone", "its tail was lost and given out again"])
async def test_in_doubt_another_stream_sends_everybody_away(world: World, broker: DistantBroker, tail: int) -> None:
    connection = await world.subscribed("alice", "open:x")
    await world.publish("open:x", 1, 2)
    epoch = broker._streams.epoch
    broker._streams._streams.clear()
    if not tail:
        broker._streams.epoch = "another"
    broker.link.lose = tail
    await world.publish("open:x", *["3"] * tail)
    assert broker._streams.epoch == (epoch if tail else "another")
    world.hub.on_doubt()
    await world.settle()
    assert sent_away(connection) == ([2500] if tail else [3010])  # the user's own channel is gone too


async def test_in_doubt_a_channel_is_checked_that_nobody_knows_yet(world: World, broker: DistantBroker) -> None:
    connection = await world.connected("alice")
    await world.publish("open:x", 1)
    broker.gate.clear()
    connection.send({"id": 2, "subscribe": {"channel": "open:x"}})
    await world.settle()
    await lose(world, "open:x", 2)
    world.hub.on_doubt()
    broker.gate.set()
    await world.settle()
    assert offsets(connection) == [2]


async def test_in_doubt_few_channels_are_read_at_once(world: World, broker: DistantBroker) -> None:
    connections = [await world.connected(f"user{number}") for number in range(100)]
    broker.turns = 4
    for number in range(100):
        await lose(world, f"#user{number}", number)
    world.hub.on_doubt()
    for _ in range(20):
        await world.settle()
    assert [c.publications(f"#user{n}")[0]["data"] for n, c in enumerate(connections)] == list(range(100))
    assert 1 < broker.most_reading <= gap_repair.AT_ONCE + 1  # the revocations are read too


# Sessions that were elsewhere


async def test_who_has_seen_more_than_was_delivered_here_gets_nothing_twice(
    world: World, broker: DistantBroker
) -> None:
    here = await world.subscribed("here", "open:x")
    broker.link.holding = True
    stored = await world.publish("open:x", 1, 2, 3)
    epoch, offset, tag = stored[1].position  # seen on another worker
    coming = await world.subscribed("coming", "open:x", recover=True, epoch=epoch, offset=offset, tag=tag)
    await world.settle()
    broker.link.release()
    await world.publish("open:x", 4)
    assert coming.replies(2)[0]["subscribe"]["recovered"]
    assert offsets(here) == [1, 2, 3, 4]
    assert offsets(coming) == [3, 4]


async def test_a_broker_that_lost_what_a_session_has_seen_sends_it_away(world: World, broker: DistantBroker) -> None:
    here, coming = await world.subscribed("here", "open:x"), await world.connected("coming")
    broker.link.lose = 1
    epoch, offset, tag = (await world.publish("open:x", 1))[0].position
    broker.gate.clear()
    request = {"channel": "open:x", "recover": True, "epoch": epoch, "offset": offset, "tag": tag}
    coming.send({"id": 2, "subscribe": request})
    await world.settle()
    broker._streams._streams.clear()
    broker.gate.set()
    await world.settle()
    assert (sent_away(here), sent_away(coming)) == ([], [3010])


# Anything at all


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_is_lost_or_late_each_session_sees_each_offset_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    broker = DistantBroker(turns=chance.choice((0, 2, 6)))
    world = World(broker=broker)
    await world.hub.start()
    connections = [await world.subscribed(f"user{number}", "open:x") for number in range(3)]
    published = 0
    for _ in range(80):
        action = chance.choice(("lose", "hold", "release", "publish", "publish", "turn", "stall", "doubt", "fail"))
        if action == "lose":
            broker.link.lose = chance.randint(1, 3)
        elif action == "hold":
            broker.link.holding = True
        elif action == "release":
            broker.link.release(chance.shuffle)
        elif action == "turn":
            await world.settle()
        elif action == "stall":
            connection = chance.choice(connections)
            chance.choice((connection.fill, connection.empty))()
        elif action == "doubt":
            world.hub.on_doubt()
        elif action == "fail":
            broker.failing = chance.randint(1, 5)
        else:
            count = chance.randint(1, 5)
            await broker.publish([Item("open:x", b"1", Retention(1000, 600)) for _ in range(count)])
            published += count
    broker.link.release()
    broker.failing = 0
    for connection in connections:
        connection.empty()
    world.hub.on_doubt()
    await world.settle()
    for connection in connections:
        assert offsets(connection) == list(range(1, published + 1))
        assert sent_away(connection) == []
    await world.hub.close()
