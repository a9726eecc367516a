"""What is not for a client: it is never given it, live or later, and its stream moves on with that of the others."""

from __future__ import annotations

from typing import Any

import pytest

from messageflow.hub import fan_out
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.hub.links import DistantBroker


@pytest.fixture
def broker() -> DistantBroker:
    return DistantBroker()


def client_of(connection: MemoryConnection) -> str:
    assert connection.session is not None
    return connection.session.client


def told(connection: MemoryConnection, channel: str) -> list[Any]:
    """Return what a connection was told of a channel since it came: data, and `(offset,)` for having moved."""
    said: list[Any] = []
    for message in connection.written:
        for result in (message.get("connect", {}).get("subs", {}).get(channel), message.get("subscribe")):
            said += [publication["data"] for publication in (result or {}).get("publications", [])]
        push = message.get("push", {})
        if push.get("channel") == channel:
            said += [push["pub"]["data"]] if "pub" in push else [(push["moved"]["offset"],)] if "moved" in push else []
    return said


async def test_all_but_the_one_excluded_get_it_and_that_one_moves_on(world: World) -> None:
    here, there = await world.subscribed("alice", "open:x"), await world.subscribed("alice", "open:x")
    stored = await world.publish("open:x", 1, exclude=client_of(here))
    await world.publish("open:x", 2)
    assert (told(here, "open:x"), told(there, "open:x")) == ([(1,), 2], [1, 2])
    moved = next(m["push"]["moved"] for m in here.written if "moved" in m.get("push", {}))
    assert moved == {"offset": 1, "tag": stored[0].position.tag}


async def test_within_one_flush_everything_keeps_its_order(world: World) -> None:
    here, there = await world.subscribed("alice", "open:x"), await world.subscribed("bob", "open:x")
    for data, exclude in ((1, ""), (2, client_of(here)), (3, client_of(here)), (4, ""), (5, client_of(there))):
        await world.publish_only("open:x", data, exclude=exclude)
    await world.settle()
    assert told(here, "open:x") == [1, (3,), 4, 5]
    assert told(there, "open:x") == [1, 2, 3, 4, (5,)]
    assert world.hub.channels["open:x"].unserved == ()


async def test_one_tab_of_a_user_can_be_left_out_also_where_it_is_alone(world: World) -> None:
    here = await world.connected("alice")
    await world.publish("#alice", 1, exclude=client_of(here))
    there = await world.connected("alice")
    await world.publish("#alice", 2, exclude=client_of(here))
    await world.publish("#alice", 3)
    assert (told(here, "#alice"), told(there, "#alice")) == ([(1,), (2,), 3], [2, 3])


async def test_a_channel_without_history_has_nothing_to_tell(world: World) -> None:
    here, there = await world.subscribed("alice", "bare:x"), await world.subscribed("bob", "bare:x")
    before = len(here.written)
    await world.publish("bare:x", 1, exclude=client_of(here))
    assert (here.written[before:], told(there, "bare:x")) == ([], [1])


async def test_a_batch_under_way_to_many_is_whole_for_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "TURN_WRITES", 2)
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(7)]
    await world.publish_only("open:x", 1)
    await world.publish("open:x", 2, exclude=client_of(crowd[3]))
    await world.publish("open:x", 3)
    assert [told(each, "open:x") for each in crowd] == [[1, 2, 3]] * 3 + [[1, (2,), 3]] + [[1, 2, 3]] * 3
    assert world.hub.counters.deliveries == 14


async def test_who_falls_behind_is_left_out_from_memory_too(world: World, broker: DistantBroker) -> None:
    slow, other = await world.subscribed("slow", "open:x"), await world.subscribed("other", "open:x")
    for each in (slow, other):
        each.fill()
    await world.publish("open:x", 1)
    await world.publish("open:x", 2, exclude=client_of(slow))
    await world.publish("open:x", 3)
    for each in (slow, other):
        each.empty()
    assert (told(slow, "open:x"), told(other, "open:x"), broker.reads) == ([1, (2,), 3], [1, 2, 3], [])
    await world.publish("open:x", 4)
    assert (told(slow, "open:x")[-1], told(other, "open:x")[-1]) == (4, 4)


@pytest.mark.parametrize("excluded", [0, 1])
async def test_who_is_given_the_history_is_left_out_whoever_reads_first(
    world: World, broker: DistantBroker, excluded: int
) -> None:
    world.hub.backlogs.budget = 0  # from the history alone
    crowd = [await world.subscribed(f"user{number}", "open:x") for number in range(3)]
    for each in crowd:
        each.fill()
    for data, exclude in ((1, ""), (2, client_of(crowd[excluded])), (3, "")):
        await world.publish("open:x", data, exclude=exclude)
    for each in crowd:  # one after the other: what the first was sent is kept for a moment
        each.empty()
        await world.settle()
    assert [told(each, "open:x") for each in crowd] == [
        [1, (2,), 3] if number == excluded else [1, 2, 3] for number in range(3)
    ]


async def test_what_the_link_lost_is_repaired_without_it(world: World, broker: DistantBroker) -> None:
    here, there = await world.subscribed("alice", "open:x"), await world.subscribed("bob", "open:x")
    broker.link.lose = 1
    await world.publish("open:x", 1, exclude=client_of(here))
    await world.publish("open:x", 2)
    assert (told(here, "open:x"), told(there, "open:x")) == ([(1,), 2], [1, 2])


async def come_back(world: World, before: MemoryConnection, former: list[str], **since: Any) -> MemoryConnection:
    """Return the connection of a client that presents its position, and its connections before."""
    before.lose()
    connection = world.connection()
    connection.send(
        {"id": 1, "connect": {"token": world.token("alice"), "former": former}},
        {"id": 2, "subscribe": {"channel": "open:x", "recover": True, **since}},
    )
    await world.settle()
    assert connection.replies(2)[0]["subscribe"]["recovered"]
    return connection


async def test_who_comes_back_is_not_given_what_was_not_for_them_and_stands_behind_it(world: World) -> None:
    before = await world.subscribed("alice", "open:x")
    first = (await world.publish("open:x", 1))[0].position
    since = {"epoch": first.epoch, "offset": 1, "tag": first.tag}
    name = client_of(before)
    for data, exclude in ((2, name), (3, ""), (4, name)):
        await world.publish("open:x", data, exclude=exclude)
    back = await come_back(world, before, [name], **since)
    assert told(back, "open:x") == [3, (4,)]
    await world.publish("open:x", 5, exclude=name)  # of a request that took longer than the connection
    await world.publish("open:x", 6)
    assert told(back, "open:x") == [3, (4,), (5,), 6]
    unknown = await come_back(world, back, [], **since)
    assert told(unknown, "open:x") == [2, 3, 4, 5, 6]


async def test_nothing_but_what_is_not_for_them_is_recovered_without_a_publication(world: World) -> None:
    before = await world.subscribed("alice", "open:x")
    name = client_of(before)
    epoch = (await world.publish("open:x", 1, exclude=name))[0].position.epoch
    back = await come_back(world, before, [name], epoch=epoch, offset=0)
    assert "publications" not in back.replies(2)[0]["subscribe"]
    assert told(back, "open:x") == [(1,)]


async def test_a_long_recovery_leaves_out_what_follows_its_answer(broker: DistantBroker) -> None:
    world = World(Limits(history=HistoryLimits(history_limit=2)), broker)
    await world.hub.start()
    before = await world.subscribed("alice", "open:x")
    name = client_of(before)
    stored = [await world.publish("open:x", n, exclude=name if n in (2, 3, 6, 8) else "") for n in range(1, 9)]
    back = await come_back(world, before, [name], epoch=stored[0][0].position.epoch, offset=0)
    assert told(back, "open:x") == [1, (2,), (3,), 4, 5, (6,), 7, (8,)]
    await world.publish("open:x", 9)
    assert told(back, "open:x")[-1] == 9
    await world.close()


async def test_of_the_connections_before_only_the_newest_count_and_no_nonsense(world: World) -> None:
    here = world.connection()
    former = ["oldest", *(f"c{number}" for number in range(5)), "a b", "x" * 65, "newest"]
    here.send({"id": 1, "connect": {"token": world.token("alice"), "former": former}})
    await world.settle()
    assert here.session is not None
    assert here.session.former == ("c0", "c1", "c2", "c3", "c4", "newest")


async def test_a_session_subscribed_by_the_application_gets_what_is_for_it(world: World) -> None:
    here = await world.connected("alice")
    epoch = (await world.publish("open:x", 1, exclude=client_of(here)))[0].position.epoch
    await world.publish("open:x", 2)
    control = (
        b'{"type":"subscribe","user":"alice","channel":"open:x","since":{"epoch":"%b","offset":0}}' % epoch.encode()
    )
    world.hub.on_control(control)
    await world.settle()
    assert told(here, "open:x") == [(1,), 2]
