"""The calls of a flow that goes straight through Redis: what reaches clients, and that both ways say the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from messageflow import (
    AsyncFlow,
    BatchRefused,
    Flow,
    History,
    PayloadTooLarge,
    Position,
    PublishError,
    Receipt,
    Refused,
)
from tests.brokers.redis.servers import Server
from tests.redis_publisher.conftest import Flows
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running


def over_http(gateway: Running) -> Flow:
    return Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


async def until(ask: Callable[[], Coroutine[Any, Any, Any]], expected: Any) -> None:
    """Return once the answer is that: gateways carry out in their own time what they are told."""
    for _ in range(500):
        if await ask() == expected:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never was {expected}")


async def test_a_push_reaches_a_client_at_a_gateway(gateway: Running, redis: Server) -> None:
    client = Client(gateway, "alice")
    await client.connect()
    flow = Flow(redis.url)
    for number in range(5):
        flow.push("alice", "n", number)
    async with AsyncFlow(redis.url) as other:
        for number in range(5, 10):
            await other.push("alice", "n", number)
    await client.listen(10)
    assert client.seen == list(range(10))
    await client.link.close()


async def test_a_flow_sees_and_ends_the_connections_at_gateways(gateway: Running, redis: Server) -> None:
    client = Client(gateway, "bob")
    await client.connect()
    async with AsyncFlow(redis.url) as flow:
        assert await flow.online("bob")
        assert [info.user for info in (await flow.presence("#bob")).values()] == ["bob"]
        assert (await flow.presence_stats("#bob")).num_clients == 1
        assert await flow.channels("#b*") == {"#bob": 1}
        [node] = await flow.info()
        assert node.num_clients == 1
        await flow.subscribe("bob", "news")
        await until(lambda: flow.channels("n*"), {"news": 1})
        await flow.unsubscribe("bob", "news")
        await flow.disconnect("bob", code=4400, reason="enough")
        await asyncio.wait_for(client.link.wait_closed(), 5)
        assert client.link.close_code == 4400
        await until(lambda: flow.online("bob"), False)


async def test_surveys_on_the_blocking_edge(gateway: Running, redis: Server) -> None:
    client = Client(gateway, "carol")
    await client.connect()
    flow = Flow(redis.url)
    assert flow.channels("#c*") == {"#carol": 1}
    assert len(flow.info()) == 1
    await client.link.close()


def batched(flow: Flow, who: str) -> Any:
    try:
        with flow.batch() as batch:
            for number in range(450):
                batch.push(f"{who}{number % 7}", "t", number)
            batch.publish("nowhere:x", 1)
            batch.broadcast("t")
    except BatchRefused as error:
        return [receipt.channel if receipt else None for receipt in batch.receipts], str(error)
    return None


def sent_later(flow: Flow, who: str) -> Any:
    for number in range(450):
        flow.later.push(who, "t", number)
    flow.later.publish("nowhere:x", 1)
    assert flow.later.flush(30)
    return [each.data["payload"] for each in flow.history(f"#{who}", limit=1000).publications], flow.later.stats.refused


def in_a_transaction(flow: Flow, who: str) -> Any:
    with flow.transaction() as transaction:
        flow.push(who, "t", 1)
        flow.push(who, "t", 2)
    return [receipt.offset for receipt in transaction.receipts if receipt]


def removed(flow: Flow, who: str) -> History:
    flow.push(who, "t", 1)
    flow.history_remove(f"#{who}")
    return flow.history(f"#{who}")


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


Call = Callable[[Flow, str], Any]
BOTH: dict[str, Call] = {
    "push": lambda flow, who: flow.push(who, "t", {"a": [1, 2.5, None, "é\n"]}),
    "push again": lambda flow, who: [flow.push(who, "t", 1, idempotency_key="k") for _ in range(2)],
    "broadcast": lambda flow, who: flow.broadcast("t", 1).ack,
    "publish": lambda flow, who: flow.publish(who, {"x": 1}, tags={"a": "b"}),
    "publish without history": lambda flow, who: flow.publish(who, 1, skip_history=True),
    "publish where nothing is kept": lambda flow, who: flow.publish(f"brief:{who}", 1),
    "publish in an unknown namespace": lambda flow, who: flow.publish(f"nowhere:{who}", 1),
    "publish what the namespace refuses": lambda flow, who: flow.publish(f"objects:{who}", 1),
    "publish in no channel": lambda flow, who: flow.publish(f"{who} with spaces", 1),
    "push too much": lambda flow, who: flow.push(who, "t", "x" * 70_000),
    "push too deep": lambda flow, who: flow.publish(who, nested(40)),
    "history": lambda flow, who: (flow.push(who, "t", 1), flow.push(who, "t", 2), flow.history(f"#{who}", limit=1)),
    "history in reverse": lambda flow, who: (flow.push(who, "t", 1), flow.history(f"#{who}", reverse=True)),
    "history of another epoch": lambda flow, who: flow.history(f"#{who}", since=Position(1, "another")),
    "history of what keeps none": lambda flow, who: flow.history(f"brief:{who}"),
    "history removed": removed,
    "presence": lambda flow, who: (flow.presence(f"seen:{who}"), flow.presence_stats(f"seen:{who}")),
    "presence where it is off": lambda flow, who: flow.presence(who),
    "online": lambda flow, who: flow.online(who),
    "online of many": lambda flow, who: flow.online([who, "nobody"]),
    "online of none": lambda flow, who: flow.online([]),
    "disconnect": lambda flow, who: flow.disconnect(who),
    "disconnect with a code that is none": lambda flow, who: flow.disconnect(who, code=1),
    "subscribe": lambda flow, who: flow.subscribe(who, "news"),
    "unsubscribe": lambda flow, who: flow.unsubscribe(who, "news"),
    "subscribe in an unknown namespace": lambda flow, who: flow.subscribe(who, "nowhere:x"),
    "channels": lambda flow, who: flow.channels(),
    "info": lambda flow, who: [(node.name, node.version, node.num_subs) for node in flow.info()],
    "batch": lambda flow, who: batched(flow, who),
    "later": lambda flow, who: sent_later(flow, who),
    "transaction": lambda flow, who: in_a_transaction(flow, who),
}


def said(call: Call, flow: Flow, who: str) -> Any:
    """Return what comes of a call, without what differs from one stream to another."""
    try:
        found = call(flow, who)
    except PublishError as error:
        shown = error.text if isinstance(error, Refused) else str(error)
        return type(error), shown.replace(who, "WHO")
    return re.sub(r"(epoch|tag)='[^']*'", r"\1=''", repr(found)).replace(who, "WHO")


@pytest.mark.parametrize("name", BOTH)
def test_both_ways_say_the_same(gateway: Running, redis: Server, name: str) -> None:
    words = re.sub(r"\W", "-", name)
    through = said(BOTH[name], over_http(gateway), f"a{words}")
    past = said(BOTH[name], Flow(redis.url), f"b{words}")
    assert past == through


def test_what_one_way_stores_the_other_reads_and_goes_on_from(gateway: Running, redis: Server) -> None:
    one, other = over_http(gateway), Flow(redis.url)
    receipts = [flow.push("shared", "t", number) for number, flow in enumerate([one, other, one, other])]
    assert [receipt.offset for receipt in receipts] == [1, 2, 3, 4]
    assert {receipt.epoch for receipt in receipts} == {receipts[0].epoch}
    for flow in (one, other):
        found = flow.history("#shared")
        assert [each.data["payload"] for each in found.publications] == [0, 1, 2, 3]
        assert found.tag == receipts[-1].tag
        assert [each.offset for each in flow.history("#shared", since=receipts[1].position).publications] == [3, 4]


def test_a_key_is_recognised_on_either_way(gateway: Running, redis: Server) -> None:
    one, other = over_http(gateway), Flow(redis.url)
    first = one.push("once", "t", 1, idempotency_key="k")
    assert other.push("once", "t", 1, idempotency_key="k") == first
    second = other.push("once", "t", 2, idempotency_key="l")
    assert one.push("once", "t", 2, idempotency_key="l") == second
    assert len(other.history("#once").publications) == 2


def test_a_channel_keeps_as_much_as_its_gateway_says(gateway: Running, redis: Server) -> None:
    flow = Flow(redis.url)
    with flow.batch() as batch:
        for number in range(60):
            batch.publish("bounded", number)
    found = flow.history("bounded", limit=100)
    assert [each.data for each in found.publications] == list(range(10, 60))


def test_every_call_on_every_face(gateway: Running, redis: Server, flows: Flows) -> None:
    flow = flows.make(redis.url)
    receipt = flows.call(flow, "push", "faces", "t", 1)
    assert isinstance(receipt, Receipt)
    found = flows.call(flow, "history", "#faces", since=Position(receipt.offset - 1, receipt.epoch))
    assert isinstance(found, History)
    assert found.position == receipt.position
    with pytest.raises(PayloadTooLarge, match="push an identifier"):
        flows.call(flow, "push", "faces", "t", "x" * 70_000)
    with pytest.raises(Refused, match="102"):
        flows.call(flow, "publish", "nowhere:x", 1)
    batch = flow.batch()
    for number in range(2500):
        batch.push("faces", "t", number)
    flows.wait(batch.send())
    assert [each.offset - receipt.offset for each in batch.receipts] == list(range(1, 2501))


def test_the_address_may_be_in_the_environment(
    gateway: Running, redis: Server, flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGEFLOW_URL", redis.url)
    flow = flows.make(None)
    assert flows.call(flow, "push", "environment", "t").channel == "#environment"
    assert flow.url == redis.url


async def test_a_flow_to_one_database_is_nothing_to_the_gateways_of_another(tmp_path: Path, own_server: Server) -> None:
    with ExitStack() as stack:
        clients = []
        for database in (0, 1):
            flags = ["serve", "--broker", f"{own_server.url}/{database}"]
            started = stack.enter_context(running(flags, tmp_path / f"gateway-{database}"))
            clients.append(Client(started, "alice"))
            await clients[-1].connect()
        async with AsyncFlow(f"{own_server.url}/1") as flow:
            assert len(await flow.info()) == 1
            assert (await flow.push("alice", "n", 7)).offset == 1
            await clients[1].listen(1)
            await flow.disconnect("alice")
            await asyncio.wait_for(clients[1].link.wait_closed(), 15)
        async with AsyncFlow(f"{own_server.url}/0") as flow:
            assert await flow.online("alice")
            assert (await flow.push("alice", "n", 8)).offset == 1
        await clients[0].listen(1)
        assert clients[0].seen == [8]
        assert clients[0].link.close_code is None
        await clients[0].link.close()
