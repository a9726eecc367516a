"""What is published reaches who should hear it: once, in order, whole, and nobody else."""

from __future__ import annotations

import pytest

from messageflow.core.stream import Position, Publication
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World


async def test_a_push_reaches_every_connection_of_its_user_and_no_other(world: World) -> None:
    first, second, bob = [await world.connected(user) for user in ("alice", "alice", "bob")]
    await world.publish("#alice", 1, 2)
    assert [p["data"] for p in first.publications("#alice")] == [1, 2]
    assert [p["data"] for p in second.publications("#alice")] == [1, 2]
    assert len(bob.written) == 1  # his connect reply


async def test_a_broadcast_reaches_everybody_who_is_in(world: World) -> None:
    inside, outside = await world.connected("alice"), world.connection()
    await world.publish("*", 1)
    assert [p["data"] for p in inside.publications("*")] == [1]
    assert outside.written == []


async def test_publications_of_one_turn_are_written_together(world: World) -> None:
    connection = await world.subscribed("alice", "open:x")
    before = world.hub.counters.deliveries
    await world.publish("open:x", 1, 2, 3)
    assert [p["data"] for p in connection.publications("open:x")] == [1, 2, 3]
    assert world.hub.counters.deliveries == before + 1


async def test_who_comes_back_gets_what_he_missed(world: World) -> None:
    connection = await world.connected("alice")
    await world.publish("#alice", 1, 2)
    seen = connection.publications("#alice")[-1]
    epoch = connection.replies(1)[0]["connect"]["subs"]["#alice"]["epoch"]
    connection.lose()
    await world.publish("#alice", 3, 4)
    position = {"recover": True, "epoch": epoch, "offset": seen["offset"], "tag": seen["tag"]}
    again = await world.connected("alice", subs={"#alice": position})
    result = again.replies(1)[0]["connect"]["subs"]["#alice"]
    assert result["recovered"]
    assert [p["data"] for p in again.publications("#alice")] == [3, 4]
    await world.publish("#alice", 5)
    assert [p["offset"] for p in again.publications("#alice")] == [3, 4, 5]


@pytest.mark.parametrize(
    "position",
    [{"epoch": "another", "offset": 1}, {"offset": 99}, {"offset": 1, "tag": "000000000000"}],
    ids=["another epoch", "an offset never reached", "another history"],
)
async def test_who_cannot_be_served_is_told_once_and_gets_the_rest(world: World, position: dict[str, object]) -> None:
    stored = await world.publish("open:x", 1, 2)
    request = {"epoch": stored[0].position.epoch, **position}
    connection = await world.subscribed("alice", "open:x", recover=True, **request)
    result = connection.replies(2)[0]["subscribe"]
    assert (result.get("recovered", False), result["was_recovering"], result["offset"]) == (False, True, 2)
    await world.publish("open:x", 3)
    assert [p["data"] for p in connection.publications("open:x")] == [3]


async def test_flag_two_wants_an_error_instead(world: World) -> None:
    connection = await world.connected("alice")
    request = {"channel": "open:x", "recover": True, "epoch": "another", "offset": 1, "flag": 2}
    connection.send({"id": 2, "subscribe": request})
    await world.settle()
    assert connection.replies(2)[0]["error"]["code"] == 112
    assert "open:x" not in world.hub.channels


async def test_a_long_recovery_goes_on_after_the_answer(world: World) -> None:
    stored = await world.publish("open:x", *range(1000))
    epoch = stored[0].position.epoch
    connection = await world.subscribed("alice", "open:x", recover=True, epoch=epoch, offset=0)
    await world.settle()
    result = connection.replies(2)[0]["subscribe"]
    assert result["recovered"]
    assert len(result["publications"]) == 300
    await world.publish("open:x", 1000)
    assert [p["data"] for p in connection.publications("open:x")] == list(range(1001))


async def test_cache_mode_gives_the_newest_alone(world: World) -> None:
    stored = await world.publish("cache:x", 1, 2, 3)
    request = {"recover": True, "epoch": stored[0].position.epoch, "offset": 1}
    connection = await world.subscribed("alice", "cache:x", **request)
    assert connection.replies(2)[0]["subscribe"]["recovered"]
    assert [p["data"] for p in connection.publications("cache:x")] == [3]


# Slow readers


async def test_a_slow_reader_gets_nothing_until_it_reads_and_then_all_of_it(world: World) -> None:
    slow, fast = await world.subscribed("slow", "open:x"), await world.subscribed("fast", "open:x")
    await world.publish("open:x", 0)
    slow.fill()
    assert slow.reading  # it may answer a ping, or say goodbye
    for number in range(1, 700):
        await world.publish("open:x", number)
    assert [p["data"] for p in slow.publications("open:x")] == [0]
    assert len(fast.publications("open:x")) == 700
    slow.empty()
    await world.settle()
    await world.publish("open:x", 700)
    assert slow.reading
    assert [p["data"] for p in slow.publications("open:x")] == list(range(701))


async def test_catching_up_stops_when_the_buffer_is_full_again(world: World) -> None:
    world.hub.backlogs.budget = 0  # from the history alone
    slow = await world.subscribed("slow", "open:x")
    slow.fill()
    await world.publish("open:x", *range(1000))
    slow.fill(after=1)
    slow.empty()
    await world.settle()
    assert len(slow.publications("open:x")) == 300
    slow.empty()
    await world.settle()
    assert [p["data"] for p in slow.publications("open:x")] == list(range(1000))


async def test_who_falls_out_of_the_history_may_come_back(world: World) -> None:
    world.hub.backlogs.budget = 0
    slow = await world.subscribed("slow", "short:x")
    slow.fill()
    await world.publish("short:x", *range(10))
    slow.empty()
    await world.settle()
    assert slow.closed is not None
    assert slow.closed.code == 3008


async def test_without_history_a_slow_reader_is_ended(world: World) -> None:
    world.hub.backlogs.budget = 0
    slow = await world.subscribed("slow", "bare:x")
    slow.fill()
    await world.publish("bare:x", 1)
    slow.empty()
    await world.settle()
    assert slow.closed is not None
    assert slow.closed.code == 3008


async def test_without_history_a_slow_reader_skips_where_the_channel_says_so(world: World) -> None:
    slow = await world.subscribed("slow", "skip:x")
    slow.fill()
    await world.publish("skip:x", 1, 2)
    slow.empty()
    await world.settle()
    await world.publish("skip:x", 3)
    assert [p["data"] for p in slow.publications("skip:x")] == [3]
    assert world.hub.counters.skipped == 1


async def test_a_very_large_channel_is_served_in_slices_and_nobody_twice(world: World) -> None:
    stayed: list[MemoryConnection] = []
    left: list[MemoryConnection] = []
    slowed: list[MemoryConnection] = []
    for number in range(240):
        group = (stayed, left, slowed)[number % 3]
        group.append(await world.subscribed(f"user{number}", "open:x"))
    options = world.hub.namespaces.options("open:x")
    assert options is not None
    channel = world.hub.channels["open:x"]
    channel.receive(*await _stored(world, 1))
    channel.flush(100)
    assert len(channel.unserved) == 140
    for connection in left:
        connection.lose()
    for connection in slowed:
        connection.fill()
    while channel.dirty:
        channel.flush(100)
    for connection in slowed:
        connection.empty()
    await world.settle()
    for connection in (*stayed, *slowed):
        assert [p["offset"] for p in connection.publications("open:x")] == [1]
    assert all(len(connection.publications("open:x")) <= 1 for connection in left)


async def _stored(world: World, data: int) -> tuple[str, Publication]:
    """Store a publication without delivering it; return what the broker would deliver."""
    world.broker._subscribed.pop("open:x")
    stored = await world.publish("open:x", data)
    world.broker._subscribed["open:x"] = None
    page = await world.broker.read_page("open:x", None, 1, reverse=True)
    return stored[0].position.epoch, page.publications[0]


async def test_positions_are_told_with_their_tag(world: World) -> None:
    stored = await world.publish("open:x", 1)
    connection = await world.subscribed("alice", "open:x")
    result = connection.replies(2)[0]["subscribe"]
    assert Position(result["epoch"], result["offset"], result["tag"]) == stored[0].position
