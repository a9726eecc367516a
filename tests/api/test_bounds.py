"""How much one call may ask: bounded in number and in bytes, all of it, and carried out in slices."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from messageflow.api import bounds
from messageflow.api.api import Api
from messageflow.brokers.base import Stored
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.control import DisconnectUser, decode_control
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.stream import Item
from messageflow.testing.broker_suite import RecordingSink

LIMIT = 2000


class Watched(MemoryBroker):
    """Says how much was published at once, and when others had their turn."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []  # publications at once; 0 where others had their turn
        self.controls: list[bytes] = []

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        self.steps.append(len(items))
        return await super().publish(items)

    async def send_control(self, message: bytes) -> None:
        self.controls.append(message)

    async def between(self) -> None:
        self.steps.append(0)


@pytest.fixture
async def broker() -> AsyncIterator[Watched]:
    made = Watched()
    await made.start(RecordingSink())
    yield made
    await made.close()


@pytest.fixture
def api(broker: Watched) -> Api:
    namespaces = Namespaces(named={"seen": NamespaceOptions(presence=True)})
    return Api(broker, namespaces, LIMIT, between=broker.between)


async def call(api: Api, method: str, **body: Any) -> tuple[int, Any]:
    status, answer = await api.call(method, json.dumps(body).encode())
    return status, json.loads(answer)


# Number


@pytest.mark.parametrize("count", [1_900_000, 5_000_000])
async def test_a_batch_of_very_many_calls_is_refused_before_it_is_decoded(api: Api, count: int) -> None:
    body = b'{"commands":[%b]}' % b",".join([b"{}"] * count)
    status, answer = await api.call("batch", body)
    assert (status, json.loads(answer)["error"]["code"]) == (413, 107)
    assert "more than 262144 JSON objects: send several smaller" in json.loads(answer)["error"]["message"]


async def test_a_batch_holds_so_many_calls_and_no_more(api: Api, broker: Watched) -> None:
    commands = [{"publish": {"channel": "x", "data": 1}}] * bounds.MOST_CALLS
    status, answer = await call(api, "batch", commands=commands)
    assert status == 200
    assert [each["publish"]["offset"] for each in answer["replies"]] == list(range(1, bounds.MOST_CALLS + 1))
    assert max(broker.steps) <= bounds.SLICE
    assert broker.steps.count(0) == bounds.MOST_CALLS // bounds.SLICE
    status, answer = await call(api, "batch", commands=[*commands, commands[0]])
    assert (status, answer["error"]["code"]) == (413, 107)
    assert (await broker.read_page("x")).position.offset == bounds.MOST_CALLS


async def test_a_batch_of_nonsense_gives_way_too(api: Api, broker: Watched) -> None:
    status, answer = await call(api, "batch", commands=[{}] * 3000)
    assert (status, len(answer["replies"])) == (200, 3000)
    assert broker.steps == [0] * (3000 // bounds.SLICE)


async def test_a_broadcast_goes_to_so_many_channels_and_no_more(api: Api, broker: Watched) -> None:
    channels = [f"c{number}" for number in range(bounds.MOST_CHANNELS)]
    channels[700] = "unknown:c"
    status, answer = await call(api, "broadcast", channels=channels, data=1)
    assert status == 200
    got = [each.get("result", {}).get("channel") for each in answer["result"]["responses"]]
    assert got == [*channels[:700], None, *channels[701:]]
    assert max(broker.steps) <= bounds.SLICE
    assert broker.steps.count(0) == (bounds.MOST_CHANNELS - 1) // bounds.SLICE
    status, answer = await call(api, "broadcast", channels=[*channels, "one"], data=2)
    assert (status, answer["error"]["code"]) == (413, 107)
    assert (await broker.read_page("c1")).position.offset == 1


async def test_a_broadcast_to_very_many_channels_is_refused_before_it_is_decoded(api: Api) -> None:
    body = b'{"data":1,"channels":[%b]}' % b",".join([b'"a"'] * 3_000_000)
    status, answer = await api.call("broadcast", body)
    assert (status, json.loads(answer)["error"]["code"]) == (413, 107)
    assert "names more than 10000 channels" in json.loads(answer)["error"]["message"]  # it has not counted them


@pytest.mark.parametrize("method", ["disconnect", "subscribe", "history", "presence", "channels", "info", "nonsense"])
async def test_what_publishes_nothing_has_a_small_body(api: Api, method: str) -> None:
    status, answer = await call(api, method, whitelist=["x" * 20] * 60_000)
    assert (status, answer["error"]["code"]) == (413, 107)


async def test_a_list_of_the_spared_reaches_the_nodes_once_each(api: Api, broker: Watched) -> None:
    await call(api, "disconnect", user="alice", whitelist=["a", "b", "a"])
    assert decode_control(broker.controls[0]) == DisconnectUser("alice", spare=frozenset("ab"))


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("disconnect", {"user": "u" * 257}),
        ("disconnect", {"user": "u", "client": "c" * 257}),
        ("unsubscribe", {"user": "u", "channel": "c" * 257}),
        ("refresh", {"user": "u" * 257}),
        ("channels", {"pattern": "*a" * 129}),
    ],
)
async def test_names_are_bounded(api: Api, broker: Watched, method: str, body: Any) -> None:
    status, answer = await call(api, method, **body)
    assert (status, answer["error"]["code"]) == (200, 107)
    assert broker.controls == []


# Bytes


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("publish", {"channel": "x", "data": "d" * LIMIT}),
        ("publish", {"channel": "x", "data": 1, "tags": {"t": "t" * LIMIT}}),
        ("publish", {"channel": "x", "data": "d" * 1200, "tags": {"t": "t" * 800}}),
        ("publish", {"channel": "x", "b64data": base64.b64encode(b'"%b"' % (b"d" * LIMIT)).decode()}),
        ("publish", {"channel": "x", "b64data": "A" * 10_000_000}),
        ("broadcast", {"channels": ["x"], "data": 1, "tags": {"t": "t" * LIMIT}}),
        ("push", {"user": "x", "type": "t", "payload": "d" * LIMIT}),
        ("push", {"user": "x", "type": "t" * 5000, "payload": 1}),
        ("broadcast_push", {"type": "t" * 5000, "payload": 1}),
        ("subscribe", {"user": "x", "channel": "x", "info": "i" * LIMIT}),
        ("subscribe", {"user": "x", "channel": "x", "data": "d" * LIMIT}),
    ],
)
async def test_all_that_is_stored_and_sent_counts(api: Api, broker: Watched, method: str, body: Any) -> None:
    status, answer = await call(api, method, **body)
    assert (status, answer["error"]["code"]) == (413, 107)
    assert (broker.steps, broker.controls) == ([], [])
    _, batch = await call(api, "batch", commands=[{method: body}, {"publish": {"channel": "y", "data": 1}}])
    assert "error" in (batch["replies"][0] if "replies" in batch else batch)


async def test_what_is_just_within_the_limits_is_stored(api: Api, broker: Watched) -> None:
    tags = {"t": "t" * (500 - len('{"t": ""}'))}
    assert (await call(api, "publish", channel="x", data="d" * 1498, tags=tags))[0] == 200
    assert (await call(api, "push", user="x", type="t" * 1022, payload="d" * (LIMIT - 2)))[0] == 200
    assert (await call(api, "publish", channel="x", data=1, idempotency_key="k" * 255))[0] == 200
    assert (await call(api, "publish", channel="x", b64data=base64.b64encode(b"1" * LIMIT).decode()))[0] == 200
    assert broker.steps == [1] * 4


@pytest.mark.parametrize("key", ["k" * 256, "ü" * 128])
@pytest.mark.parametrize("method", ["publish", "push", "broadcast_push", "broadcast"])
async def test_a_key_is_bounded_since_it_is_remembered(api: Api, broker: Watched, method: str, key: str) -> None:
    body = {"channel": "x", "channels": ["x"], "user": "x", "type": "t", "data": 1, "idempotency_key": key}
    _, answer = await call(api, method, **body)
    error = answer.get("error") or answer["result"]["responses"][0]["error"]
    assert (error["code"], "255" in error["message"]) == (107, True)
    assert sum(broker.steps) == 0


@pytest.mark.parametrize("tags", [b'{"a":1}', b'{"a":null}', b'["a"]', b'"a"', b"1"])
async def test_tags_are_texts(api: Api, broker: Watched, tags: bytes) -> None:
    status, answer = await api.call("publish", b'{"channel":"x","data":1,"tags":%b}' % tags)
    assert (status, json.loads(answer)["error"]["code"]) == (200, 107)
    assert broker.steps == []


@pytest.mark.parametrize("tags", [b"[" * 40 + b"]" * 40, b'{"a":%b1%b}' % (b"[" * 40, b"]" * 40)])
async def test_tags_are_as_shallow_as_data(api: Api, broker: Watched, tags: bytes) -> None:
    status, answer = await api.call("publish", b'{"channel":"x","data":1,"tags":%b}' % tags)
    assert json.loads(answer)["error"]["code"] == 107
    assert broker.steps == []
    assert status in (200, 400)


# Answers


async def test_a_page_of_the_history_is_bounded_in_bytes(broker: Watched) -> None:
    api = Api(broker, Namespaces(), 1 << 20)
    for _ in range(10):
        await call(api, "publish", channel="x", data="d" * 1_000_000)
    _, answer = await call(api, "history", channel="x", limit=-1)
    assert [each["offset"] for each in answer["result"]["publications"]] == [1, 2, 3, 4]
    _, answer = await call(api, "history", channel="x", limit=-1, since={"offset": 4, "epoch": ""})
    assert [each["offset"] for each in answer["result"]["publications"]] == [5, 6, 7, 8]


async def test_the_answers_of_a_batch_are_bounded_together(broker: Watched) -> None:
    api = Api(broker, Namespaces(), 1 << 20)
    for _ in range(4):
        await call(api, "publish", channel="x", data="d" * 1_000_000)
    commands: list[Any] = [{"history": {"channel": "x", "limit": -1}}] * 99
    status, answer = await api.call("batch", json.dumps({"commands": [*commands, {"publish": {}}]}).encode())
    assert status == 200
    assert len(answer) < bounds.ANSWERS_BYTES + bounds.ANSWER_BYTES + 100_000
    replies = json.loads(answer)["replies"]
    assert [("history" in reply) for reply in replies[:99]] == [True] * 5 + [False] * 94
    assert {reply["error"]["code"] for reply in replies[5:99]} == {106}
