"""`flow.transaction()`: what a block publishes goes together at its end, or not at all."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from messageflow import AsyncFlow, Flow, GatewayUnreachable, OutcomeUnknown, Receipt
from tests.ports import free_port
from tests.publisher.scripted import RECEIPT, ScriptedServer, hang_up, result

STORED = Receipt(**RECEIPT)  # type: ignore[arg-type]


class Failed(Exception):
    """What the application raises."""


def of(server: ScriptedServer) -> list[tuple[str, list[Any]]]:
    """Return method and payloads of every request that came."""
    heard = []
    for request in server.requests:
        method = request.target.rpartition("/")[2]
        pushes = [each["push"] for each in request.body["commands"]] if method == "batch" else [request.body]
        heard.append((method, [push.get("payload") for push in pushes]))
    return heard


def test_what_is_pushed_inside_goes_together_at_the_end(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction() as transaction:
        assert flow.push("alice", "t", 1).ack == "pending"
        flow.broadcast("t", 2)
        flow.publish("news", 3)
        assert server.requests == []
        assert transaction.receipts == [None] * 3
    (request,) = server.requests
    assert [next(iter(each)) for each in request.body["commands"]] == ["push", "broadcast_push", "publish"]
    assert transaction.receipts == [STORED] * 3
    assert flow.push("alice", "t", 4) == STORED


async def test_the_same_to_be_awaited(server: ScriptedServer) -> None:
    async with AsyncFlow(server.url) as flow:
        async with flow.transaction() as transaction:
            assert (await flow.push("alice", "t", 1)).ack == "pending"
            await asyncio.create_task(flow.push("alice", "t", 2))
            await asyncio.gather(flow.push("alice", "t", 3))
            assert server.requests == []
        assert transaction.receipts == [STORED] * 3
        with suppress(Failed):
            async with flow.transaction():
                await flow.push("alice", "t", 4)
                raise Failed
        assert of(server) == [("batch", [1, 2, 3])]


def test_nothing_is_sent_when_the_block_raises(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with suppress(Failed), flow.transaction() as transaction:
        flow.push("alice", "t", 1)
        flow.later.push("alice", "t", 2)
        with flow.batch() as batch:
            batch.push("alice", "t", 3)
        raise Failed
    assert flow.later.flush()
    assert server.requests == []
    assert transaction.receipts == [None, None]
    flow.push("alice", "t", 4)
    assert of(server) == [("push", [4])]


def test_a_block_that_publishes_nothing_sends_nothing(server: ScriptedServer) -> None:
    with Flow(server.url).transaction():
        pass
    assert server.requests == []


def test_a_transaction_inside_joins_the_one_around(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction() as around:
        flow.push("alice", "t", 1)
        with flow.transaction() as inside:
            flow.push("alice", "t", 2)
        with suppress(Failed), flow.transaction() as failed:
            flow.push("alice", "t", 3)
            raise Failed
        flow.push("alice", "t", 4)
        assert server.requests == []
    assert of(server) == [("batch", [1, 2, 4])]
    assert around.receipts == [STORED] * 3
    assert inside.receipts == [STORED]
    assert failed.receipts == [None]


def test_a_batch_inside_joins_too(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction():
        flow.push("alice", "t", 1)
        with flow.batch() as batch:
            batch.push("alice", "t", 2)
            batch.push("alice", "t", 3)
        assert batch.receipts == [None, None]
    assert of(server) == [("batch", [1, 2, 3])]
    assert batch.receipts == [STORED, STORED]
    assert batch.failures == {}


def test_later_inside_waits_for_the_end_and_goes_after_it(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction():
        flow.later.push("alice", "t", 1)
        with flow.transaction():
            flow.later.push("alice", "t", 2)
        flow.push("alice", "t", 0)
        assert flow.later.stats.waiting == 0
    assert flow.later.flush()
    assert of(server)[0] == ("batch", [0])
    assert server.payloads == [0, 1, 2]


def test_later_is_sent_though_the_gateway_was_away_at_the_end() -> None:
    flow = Flow(f"http://127.0.0.1:{free_port()}", timeout=0.1)

    def work() -> None:
        with flow.transaction():
            flow.push("alice", "t", 0)
            flow.later.push("alice", "t", 1)

    with pytest.raises(GatewayUnreachable):
        work()
    assert flow.later.stats.waiting == 1


def test_what_failed_at_the_end_can_be_sent_again_with_the_same_keys(server: ScriptedServer) -> None:
    server.script.extend([hang_up] * 50)
    flow = Flow(server.url, timeout=0.2)
    with pytest.raises(OutcomeUnknown), flow.transaction() as transaction:
        flow.push("alice", "t", 1)
    server.script.clear()
    transaction.send()
    assert transaction.receipts == [STORED]
    assert len({request.body["commands"][0]["push"]["idempotency_key"] for request in server.requests}) == 1


def test_flows_that_were_told_the_same_are_collected_and_others_are_not(server: ScriptedServer) -> None:
    with ScriptedServer() as another, Flow(server.url).transaction():
        Flow(server.url).push("alice", "t", 1)
        assert Flow(another.url).push("alice", "t", 2) == STORED
        with Flow(another.url).transaction():
            Flow(server.url).push("alice", "t", 3)
            assert Flow(server.url, api_key="other").push("alice", "t", 4) == STORED
    assert of(server) == [("push", [4]), ("batch", [1, 3])]


def test_another_thread_pushes_for_itself(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction():
        thread = threading.Thread(target=flow.push, args=("alice", "t", 1))
        thread.start()
        thread.join()
        assert of(server) == [("push", [1])]
    assert len(server.requests) == 1


async def test_a_task_that_goes_on_after_the_block_pushes_for_itself(server: ScriptedServer) -> None:
    async with AsyncFlow(server.url) as flow:
        ended = asyncio.Event()

        async def outlive() -> Receipt:
            await ended.wait()
            return await flow.push("alice", "t", 1)

        async with flow.transaction():
            task = asyncio.create_task(outlive())
        ended.set()
        assert await task == STORED
    assert of(server) == [("push", [1])]


def test_what_asks_is_asked_at_once(server: ScriptedServer) -> None:
    server.script.append(result({"num_clients": 1}))
    flow = Flow(server.url)
    with flow.transaction():
        assert flow.online("alice")


def test_options_of_a_call_go_with_it_however_it_is_collected(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    with flow.transaction(), flow.batch() as batch:
        for face in (flow, batch, flow.later):
            face.push("alice", "t", exclude="c-1", version=5, version_epoch="e")
            face.broadcast("t", exclude="c-1", version=5, version_epoch="e")
            face.publish("news", 1, exclude="c-1", version=5, version_epoch="e")
    assert flow.later.flush()
    commands = [command for request in server.requests for command in request.body["commands"]]
    sent = [next(iter(command.values())) for command in commands]
    assert [(each["exclude"], each["version"], each["version_epoch"]) for each in sent] == [("c-1", 5, "e")] * 9
