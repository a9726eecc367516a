"""Peers that take nothing: kept while they are there and there is room, ended when they are gone or there is none."""

from __future__ import annotations

from messageflow.hub import stalled_sessions
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World

KIB = 1024


async def stalled(world: World, user: str, buffered: int) -> MemoryConnection:
    """Return a connection whose transport is full."""
    connection = await world.connected(user)
    connection.buffered = buffered
    connection.answers_pings = False
    connection.fill()
    return connection


def code(connection: MemoryConnection) -> int | None:
    return connection.closed.code if connection.closed else None


async def test_who_is_there_and_takes_nothing_is_kept_and_whole_afterwards(world: World) -> None:
    slow = await stalled(world, "slow", 256 * KIB)
    await world.publish("#slow", *range(20))
    await world.pass_time(300)
    assert code(slow) is None
    slow.buffered = 0
    slow.answers_pings = True
    slow.empty()
    await world.pass_time(60)
    assert code(slow) is None
    assert [p["data"] for p in slow.publications("#slow")] == list(range(20))
    assert len(world.hub.stalled) == 0


async def test_who_takes_little_by_little_below_the_mark_is_kept_too(world: World) -> None:
    slow = await world.connected("slow")
    slow.answers_pings = False  # the ping waits behind what it has not taken yet
    for left in range(100, 0, -1):
        slow.buffered = left * KIB
        await world.pass_time(1)
    assert code(slow) is None
    slow.buffered = 0
    await world.pass_time(30)
    assert code(slow) == 3012


async def test_who_is_gone_with_a_full_buffer_is_found_within_25_seconds(world: World) -> None:
    gone, there = await stalled(world, "gone", 256 * KIB), await stalled(world, "there", 256 * KIB)
    gone.peer_is_gone = True
    await world.pass_time(25.5)
    assert (code(gone), gone.aborted) == (3012, True)
    assert code(there) is None


async def test_who_goes_after_the_ping_and_before_the_question_is_found(world: World) -> None:
    going = await world.connected("going")
    going.answers_pings = False
    assert going.session is not None
    while not going.session.pings:
        await world.pass_time(0.5)
    going.buffered, going.peer_is_gone = KIB, True
    await world.pass_time(10.5)
    assert code(going) == 3012


async def test_the_link_is_told_to_be_patient_only_where_a_stall_lasts(world: World) -> None:
    slow = await stalled(world, "slow", KIB)
    await world.pass_time(3)
    assert not slow.patient
    await world.pass_time(3)
    assert slow.patient
    slow.buffered = 0
    slow.empty()
    await world.pass_time(1)
    assert not slow.patient


async def test_over_the_budget_the_largest_go_until_an_eighth_is_free() -> None:
    world = World(Limits(buffer_memory=1000 * KIB))
    await world.hub.start()
    connections = [await stalled(world, f"user{number}", (number + 1) * 10 * KIB) for number in range(15)]
    await world.pass_time(0.5)  # 1,200 KiB wait
    assert [number for number, connection in enumerate(connections) if connection.closed] == [12, 13, 14]
    assert {code(connection) for connection in connections[12:]} == {3008}
    assert all(connection.aborted for connection in connections[12:])
    assert world.hub.counters.shed == 3
    assert world.hub.stalled.buffered == sum((number + 1) * 10 * KIB for number in range(12))
    await world.pass_time(30)
    assert world.hub.counters.shed == 3
    await world.hub.close()


async def test_what_is_kept_for_who_takes_nothing_goes_before_any_session() -> None:
    world = World(Limits(buffer_memory=1 << 20))
    await world.hub.start()
    asleep = await world.subscribed("asleep", "open:x")
    asleep.fill()
    await world.publish("open:x", *['"' + "x" * 10 * KIB + '"'] * 20)
    await world.pass_time(2)
    assert world.hub.backlogs.size > 200 * KIB
    await stalled(world, "large", 900 * KIB)
    await world.pass_time(1)
    assert (world.hub.backlogs.size, world.hub.counters.shed) == (0, 0)
    await world.hub.close()


async def test_who_was_shed_resumes_whole(world: World) -> None:
    await world.publish("#slow", 0)
    slow = await stalled(world, "slow", 300 << 20)
    position = slow.replies(1)[0]["connect"]["subs"]["#slow"]
    await world.publish("#slow", 1, 2)
    await world.pass_time(0.5)
    assert code(slow) == 3008
    held = {"recover": True, "epoch": position["epoch"], "offset": position["offset"], "tag": position["tag"]}
    again = await world.connected("slow", subs={"#slow": held})
    assert [p["data"] for p in again.publications("#slow")] == [1, 2]


async def test_a_session_that_ends_is_stalled_no_more(world: World) -> None:
    slow = await stalled(world, "slow", KIB)
    assert len(world.hub.stalled) == 1
    slow.lose()
    assert len(world.hub.stalled) == 0


async def test_patience_begins_and_ends_on_time(world: World) -> None:
    slow = await stalled(world, "slow", KIB)
    ticks = round(stalled_sessions.PATIENT_AFTER / world.hub.heartbeat.tick_length)
    for _ in range(ticks - 1):
        world.hub.heartbeat.tick()
    assert not slow.patient
    world.hub.heartbeat.tick()
    assert slow.patient
