"""The broker over Redis keeps the contract, and nodes that share a Redis are one gateway."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from messageflow.brokers.base import Broker
from messageflow.brokers.redis.keyspace import Names
from messageflow.brokers.redis.presence.lease import LEASE
from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import Left
from messageflow.core.stream import Position
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unrecoverable
from messageflow.testing.broker_suite import BrokerSuite, RecordingSink, items, until
from tests.brokers.redis.conftest import Opened, Server, broker_at


class TestRedisBroker(BrokerSuite):
    @pytest.fixture
    async def broker(self, opened: Opened, server: Server, sink: RecordingSink) -> AsyncIterator[Broker]:
        async with opened(server, sink) as made:
            yield made


async def test_nodes_hear_each_other_in_one_order(opened: Opened, server: Server) -> None:
    one, other = RecordingSink(), RecordingSink()
    async with opened(server, one) as first, opened(server, other) as second:
        await first.subscribe("x")
        await second.subscribe("x")
        await asyncio.gather(*(node.publish(items("x", *range(50))) for node in (first, second)))
        await until(lambda: len(one.publications) == len(other.publications) == 100)
        assert one.publications == other.publications
        assert [p.offset for _, p in one.publications] == list(range(1, 101))
        assert (await first.read_page("x")).position == (await second.read_page("x")).position
        assert sorted(await first.survey(b"you")) == [b"answer to you", b"answer to you"]


async def test_a_node_that_is_gone_leaves_nobody_behind(opened: Opened, server: Server) -> None:
    watcher = RecordingSink()
    async with opened(server, watcher) as stays, opened(server) as goes:
        await stays.subscribe("x")
        await goes.join("x", ClientInfo("alice", "a"), keep=True, tell=False)
        assert set(await stays.read_presence("x")) == {"a"}
        with server.client() as client:
            client.zadd(stays._names.nodes, {goes._node: 1})  # its lease is over
        assert await stays.read_presence("x") == {}
        assert (await stays.count_presence("x")).clients == 1  # until somebody has cleared up
        stays._lease._well_since -= LEASE + 1
        await stays._local_presence.tend(stays._lease)
        assert (await stays.count_presence("x")).clients == 0
        assert await stays.read_presence("x") == {}
        await until(lambda: [type(push) for _, push in watcher.pushes] == [Left])


async def test_what_a_node_that_is_gone_had_begun_is_unknown(opened: Opened, server: Server) -> None:
    async with opened(server) as stays, opened(server) as goes:
        for key in ("begun", "ended"):
            assert (await goes.reserve("alice", key)).state == "mine"
        await goes.settle("alice", "ended", b"so")
        assert (await stays.reserve("alice", "begun", 1.0)).state == "running"
        with server.client() as client:
            client.zadd(stays._names.nodes, {goes._node: 1})  # its lease is over
        assert (await stays.reserve("alice", "begun", 1.0)).state == "unknown"
        assert await stays.reserve("alice", "ended", 1.0) == ("ended", b"so")
        await goes.settle("alice", "begun", b"late")
        assert await stays.reserve("alice", "begun", 1.0) == ("ended", b"late")


async def test_what_was_told_before_redis_was_away_is_not_taken_for_new(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        assert (await broker.reserve("alice", "a", 1.0)).state == "mine"
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: broker.statistics()["redis_lost"] >= 1)
        assert (await broker.reserve("alice", "a", 1.0)).state == "running"
        assert (await broker.reserve("alice", "b", 1.0)).state == "unknown"
        assert (await broker.reserve("alice", "c")).state == "mine"


async def test_reservations_go_when_their_time_is_over(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        await broker.reserve("alice", "a")
        await broker.reserve("alice", "b")
        await broker.settle("alice", "b", b"")
        with server.client() as client:
            for key in ("a", "b"):
                assert 0 < client.pttl(broker._names.reservation("alice", key)) <= 600_000


async def test_flushed_streams_begin_in_a_new_epoch(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server, sink) as broker:
        await broker.subscribe("x")
        before = (await broker.publish(items("x", 1, 2)))[1].position
        await until(lambda: len(sink.publications) == 2)
        with server.client() as client:
            client.flushall()
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", before)
        after = (await broker.publish(items("x", 3)))[0].position
        assert after.epoch != before.epoch


async def test_a_lost_tail_is_found_by_who_has_seen_it(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server, sink) as broker:
        await broker.subscribe("x")
        stored = await broker.publish(items("x", 1, 2, 3))
        await until(lambda: len(sink.publications) == 3)
        with server.client() as client:  # a replica took over that had only the first
            state, stream = broker._names.state("x"), broker._names.log("x")
            client.hset(state, mapping={"offset": 1, "tag": stored[0].position.tag})
            client.xtrim(stream, maxlen=0)
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[2].position)
        assert (await broker.read_page("x")).position.epoch != stored[2].position.epoch
        assert broker.statistics()["lost_tails"] == 1


async def test_offsets_that_were_reused_are_found_by_the_tag(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        stored = await broker.publish(items("x", 1, 2, 3))
        with server.client() as client:
            client.hset(broker._names.state("x"), mapping={"offset": 1, "tag": stored[0].position.tag})
            client.delete(broker._names.log("x"))
        await broker.publish(items("x", 7, 8, 9))
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[2].position)


async def test_garbage_is_skipped_and_counted(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server, sink) as broker:
        await broker.subscribe("x")
        await broker.join("x", ClientInfo("bob", "b"), keep=True, tell=False)
        with server.client() as client:
            live = broker._names.live("x")
            for message in (
                b"",
                b"P",
                b"Pa b c\n",
                b"P e x t 1 0 0\n{}",
                b"Jnot json",
                b"\xff\xfe",
                b"Pe 1 t nan 9 9\n1",
            ):
                client.publish(live, message)
            client.publish(broker._names.control, b"")
            client.publish(broker._names.control, b"Q")
            client.hset(broker._names.present("x"), "c", b"garbage")
        await broker.publish(items("x", 1))
        await until(lambda: len(sink.publications) == 1)
        assert broker.statistics()["garbage_skipped"] >= 6
        assert set(await broker.read_presence("x")) == {"b"}


async def test_scripts_that_were_flushed_are_loaded_again(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        with server.client() as client:
            client.script_flush()
        assert (await broker.publish(items("x", 1)))[0].position.offset == 1


async def test_a_redis_without_room_refuses(opened: Opened, own_server: Server) -> None:
    async with opened(own_server) as broker:
        await broker.publish(items("x", 1))
        with own_server.client() as client:
            client.config_set("maxmemory", "1")
            client.config_set("maxmemory-policy", "noeviction")
        with pytest.raises(NoRoom, match="takes no writes"):
            await broker.publish(items("x", 2))
        with own_server.client() as client:
            client.config_set("maxmemory", "0")
        assert (await broker.publish(items("x", 3)))[0].position.offset == 2


async def test_a_lost_connection_is_made_again_and_doubted(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server, sink) as broker:
        await broker.subscribe("x")
        with server.client() as client:
            client.client_kill_filter(_type="pubsub")
        await until(lambda: sink.doubts == 1)
        await broker.publish(items("x", 1))
        await until(lambda: len(sink.publications) == 1)
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: broker.statistics()["redis_lost"] >= 2)
        assert (await broker.publish(items("x", 2)))[0].position.offset == 2


async def test_while_redis_is_away_calls_fail_in_time_and_come_right_afterwards(
    opened: Opened, own_server: Server
) -> None:
    sink = RecordingSink()
    async with opened(own_server, sink, deadline=2.0) as broker:
        await broker.subscribe("x")
        own_server.stop()
        await until(lambda: broker.trouble != "")
        with pytest.raises(BrokerError, match="cannot be reached"):
            await broker.publish(items("x", 1))
        own_server.start()
        await until(lambda: broker.trouble == "")
        await until(lambda: sink.doubts >= 1)
        await broker.subscribe("y")  # confirmed after all that was heard before
        await broker.publish(items("x", 2))
        await until(lambda: len(sink.publications) == 1)


async def is_stored(broker: Broker, number: int) -> bool:
    """Publish, and tell whether it was said to be stored."""
    try:
        await broker.publish(items("x", number))
    except BrokerError:
        return False
    return True


async def test_a_redis_that_is_frozen_leaves_the_outcome_unknown(opened: Opened, own_server: Server) -> None:
    async with opened(own_server, deadline=0.4) as broker:
        own_server.signal(signal.SIGSTOP)
        with pytest.raises(Unanswered):
            await broker.publish(items("x", 1))
        own_server.signal(signal.SIGCONT)
        for _ in range(500):  # on a busy machine more may take longer than the deadline
            if await is_stored(broker, 2):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it never was stored again")


async def test_no_redis_is_said_at_the_start(own_server: Server) -> None:
    own_server.stop()
    with pytest.raises(BrokerError, match="Redis cannot be reached"):
        await broker_at(own_server.url, deadline=0.5).start(RecordingSink())


async def test_garbage_under_our_keys_begins_only_its_own_stream_anew(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        names = broker._names
        before = (await broker.publish(items("x", 1) + items("y", 1) + items("z", 1)))[0].position
        with server.client() as client:
            client.delete(names.log("x"))
            client.set(names.log("x"), "garbage")
            client.xadd(names.log("y"), {"m": "garbage"}, id="99-0")
            client.delete(names.state("z"))
            client.rpush(names.state("z"), "garbage")
        stored = await broker.publish([item for name in ("w", "x", "y", "z") for item in items(name, 2)])
        assert [each.position.offset for each in stored] == [1, 1, 1, 1]
        assert before.epoch not in {each.position.epoch for each in stored}
        assert [p.data for p in (await broker.read_page("x", limit=9)).publications] == [b"2"]


async def test_garbage_under_the_keys_of_presence_and_nodes_is_taken_away(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        names = broker._names
        with server.client() as client:
            client.delete(names.nodes)
            for key in (names.present("x"), names.users("x"), names.nodes, names.of_node(broker._node)):
                client.set(key, "garbage")
        await broker.join("x", ClientInfo("alice", "a"), keep=True, tell=False)
        await broker._lease.renew()
        with server.client() as client:
            client.zadd(names.nodes, {b"\xff": 1e12, b"a b": 0})
        await broker._lease.renew()
        assert set(await broker.read_presence("x")) == {"a"}
        assert (await broker.count_presence("x")) == (1, 1)
        assert len(await broker.survey(b"who")) == 1
        assert broker.statistics()["garbage_skipped"] >= 4


async def test_presence_that_redis_lost_is_entered_again(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        for user, client_id in (("alice", "a"), ("alice", "b"), ("bob", "c")):
            await broker.join("x", ClientInfo(user, client_id), keep=True, tell=False)
        assert await broker.count_presence("x") == (3, 2)
        with server.client() as client:
            client.flushall()
        await broker._lease.renew()
        await broker._local_presence.tend(broker._lease)
        assert set(await broker.read_presence("x")) == {"a", "b", "c"}
        await broker.leave("x", ClientInfo("alice", "a"), tell=False)
        assert await broker.count_presence("x") == (2, 2)


async def test_leases_that_ran_out_while_redis_was_away_are_no_deaths(opened: Opened, server: Server) -> None:
    async with opened(server) as one, opened(server) as other:
        await other.join("x", ClientInfo("alice", "a"), keep=True, tell=False)
        one._lease._well_since -= LEASE + 1
        one._lease._renewed -= LEASE + 1  # it could not renew for so long
        with server.client() as client:
            client.zadd(one._names.nodes, {one._node: 1, other._node: 1})
        await one._lease.renew()
        await one._local_presence.tend(one._lease)
        assert (await one.count_presence("x")).clients == 1
        await other._lease.renew()
        assert set(await one.read_presence("x")) == {"a"}


async def test_one_publication_that_fails_leaves_the_others_alone(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        with server.client() as client:
            client.hset(broker._names.key("x", "k"), "not", "ours")
        outcomes = await broker._streams.publish([*items("w", 1), replace(items("x", 1)[0], key="k"), *items("y", 1)])
        assert [isinstance(outcome, BrokerError) for outcome in outcomes] == [False, True, False]
        with pytest.raises(Unanswered, match="not all of it"):
            await broker.publish([*items("w", 1), replace(items("x", 1)[0], key="k")])


async def test_many_callers_share_calls_and_keep_their_own_order(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:

        async def publish(name: str) -> list[int]:
            return [(await broker.publish(items(name, number)))[0].position.offset for number in range(20)]

        with server.client() as client:
            client.config_resetstat()
        found = await asyncio.gather(*(publish(f"c{number}") for number in range(50)))
        assert found == [list(range(1, 21))] * 50
        with server.client() as client:
            calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert calls < 500
        big = await broker.publish(items("big", *range(1_500)))
        assert [each.position.offset for each in big] == list(range(1, 1_501))


async def cut_back(server: Server, names: Names, channel: str, to: Position) -> None:
    """Do what a failover to a replica does that had less of a stream."""
    with server.client() as client:
        client.hset(names.state(channel), mapping={"offset": to.offset, "tag": to.tag})
        for entry, _ in client.xrange(names.log(channel), min=f"{to.offset + 1}-0"):
            client.xdel(names.log(channel), entry)
        client.execute_command("XSETID", names.log(channel), f"{to.offset}-0")


async def test_a_lost_tail_is_found_by_who_acknowledged_it_though_nobody_heard(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
        await cut_back(server, broker._names, "x", stored[0])
        broker.on_lost()
        broker.on_missed()
        await until(lambda: broker.statistics()["lost_tails"] == 1)
        found = await broker.read_page("x", limit=9)
        assert found.position.epoch != stored[0].epoch
        assert [publication.data for publication in found.publications] == [b"1"]  # as it may be of a revocation
        assert [each.position.offset for each in await broker.publish(items("x", 4))] == [2]


async def test_a_lost_tail_is_found_by_who_had_left_and_comes_back(opened: Opened, server: Server) -> None:
    async with opened(server) as publisher, opened(server, sink := RecordingSink()) as broker:
        await broker.subscribe("x")
        stored = [each.position for each in await publisher.publish(items("x", 1, 2, 3))]
        await until(lambda: len(sink.publications) == 3)
        broker.unsubscribe("x")
        await cut_back(server, broker._names, "x", stored[0])
        await broker.subscribe("x")
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[0])


async def test_offsets_given_out_again_are_found_when_they_are_announced(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server) as publisher, opened(server) as ignorant, opened(server, sink) as broker:
        await broker.subscribe("x")
        stored = [each.position for each in await publisher.publish(items("x", 1, 2, 3))]
        await until(lambda: len(sink.publications) == 3)
        await cut_back(server, broker._names, "x", stored[0])
        await ignorant.publish(items("x", 7))  # at an offset that was there before
        await until(lambda: sink.doubts == 1)
        assert len(sink.publications) == 3
        assert (await broker.read_page("x")).position.epoch != stored[0].epoch


async def test_what_follows_a_reused_offset_is_found_by_its_tag(opened: Opened, server: Server) -> None:
    sink = RecordingSink()
    async with opened(server) as publisher, opened(server) as ignorant, opened(server, sink) as broker:
        stored = [each.position for each in await publisher.publish(items("x", 1, 2, 3))]
        await broker.subscribe("x")
        await broker.read_page("x")
        await cut_back(server, broker._names, "x", stored[1])
        live = broker._names.live("x")
        broker._topology.unsubscribe(live)
        await ignorant.publish(items("x", 7))
        await broker._topology.subscribe(live)
        await ignorant.publish(items("x", 8))  # at the offset that should come next
        await until(lambda: sink.doubts == 1)
        assert sink.publications == []


async def test_a_stream_that_has_passed_its_old_end_is_found_out_too(opened: Opened, server: Server) -> None:
    async with opened(server) as other, opened(server) as broker:
        stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
        await cut_back(server, broker._names, "x", stored[0])
        await other.publish(items("x", 7, 8, 9, 10))
        with pytest.raises(Unrecoverable):
            await broker.read_since("x", stored[2])
        assert (await broker.read_page("x")).position.epoch != stored[0].epoch


async def test_a_wrong_position_of_a_client_harms_no_stream(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
        for wrong in (stored[1]._replace(tag="0" * 12), stored[2]._replace(offset=9)):
            with pytest.raises(Unrecoverable):
                await broker.read_since("x", wrong)
        assert (await broker.read_page("x")).position == stored[2]
        assert len((await broker.read_since("x", stored[0])).publications) == 2


async def test_presence_that_came_back_after_it_had_gone_is_taken_out(opened: Opened, server: Server) -> None:
    async with opened(server) as broker, opened(server) as gone:
        stays, left, ghost = ClientInfo("alice", "a"), ClientInfo("bob", "b"), ClientInfo("carol", "c")
        await broker.join("x", stays, keep=True, tell=False)
        await broker._presence_store.enter(broker._node, [("x", left), ("y", left)])  # a failover brought them back
        await gone._presence_store.enter("nobody-knows", [("x", ghost)])
        broker._local_presence.mark_disordered()
        await broker._local_presence.tend(broker._lease)
        assert await broker.count_presence("x") == (2, 2)
        assert await broker.count_presence("y") == (0, 0)
        broker._lease._well_since -= LEASE + 1
        broker._local_presence._sift_at = 0
        await broker._local_presence.tend(broker._lease)
        assert await broker.count_presence("x") == (1, 1)


async def test_a_lost_tail_is_found_though_receipts_have_gone_past_it(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
        await cut_back(server, broker._names, "x", stored[0])
        await broker.publish(items("x", 7, 8))  # at offsets that were given out before
        await until(lambda: broker.statistics()["lost_tails"] == 1)
        assert (await broker.publish(items("x", 9)))[0].position.epoch != stored[0].epoch


async def test_what_was_known_when_redis_was_lost_is_judged_though_it_went_on_since(
    opened: Opened, server: Server
) -> None:
    async with opened(server) as other, opened(server) as broker:
        stored = [each.position for each in await broker.publish(items("x", 1, 2, 3))]
        broker.on_lost()
        await cut_back(server, broker._names, "x", stored[0])
        await other.publish(items("x", 7, 8, 9))
        await broker.publish(items("x", 10))  # beyond what was known
        broker.on_missed()
        await until(lambda: broker.statistics()["lost_tails"] == 1)


async def test_a_key_that_comes_again_harms_no_stream(opened: Opened, server: Server) -> None:
    async with opened(server) as broker:
        first = replace(items("x", 1)[0], key="k")
        stored = (await broker.publish([first]))[0]
        await broker.publish(items("x", 2, 3))
        assert await broker.publish([first]) == [stored]
        await until(lambda: not broker._positions._judging)
        assert (await broker.read_page("x")).position.epoch == stored.position.epoch
        assert broker.statistics()["lost_tails"] == 0
