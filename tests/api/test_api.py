"""The calls of the server API over a broker alone: no hub, no HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from json import loads
from typing import Any

import pytest

from messageflow.api.api import Api
from messageflow.api.methods import METHODS
from messageflow.brokers.base import Later, Stored
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.channels import REVOKED
from messageflow.core.client_info import ClientInfo
from messageflow.core.codes import BAD_REQUEST, METHOD_NOT_FOUND
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.revocations import Revocation, decode_revocation
from messageflow.core.stream import Item
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable
from messageflow.testing.broker_suite import RecordingSink, until

PUSH = b'{"user":"alice","type":"t","payload":1}'


class Failing(MemoryBroker):
    """Fails at every publish."""

    error: BrokerError

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        raise self.error


@pytest.fixture
async def broker() -> AsyncIterator[Failing]:
    made = Failing()
    await made.start(RecordingSink())
    yield made
    await made.close()


async def test_a_push_is_stored_and_read() -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    api = Api(broker, Namespaces(), 65_536)
    status, answer = await api.call("push", PUSH)
    assert (status, json.loads(answer)["result"]["offset"]) == (200, 1)
    status, answer = await api.call("history", b'{"channel":"#alice","limit":9}')
    assert [each["data"]["payload"] for each in json.loads(answer)["result"]["publications"]] == [1]
    assert (await broker.read_page("#alice", None, 9)).position.offset == 1
    await broker.close()


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ('{"push":{"user":"a","type":"t"}}', ""),
        ('{"push":{"user":"a","type":"t","payload":[1e400]}}', "a number is larger"),
        (f'{{"push":{{"user":"a","type":"t","payload":{"[" * 33 + "]" * 33}}}}}', "nested deeper"),
        ('{"push":{"user":"a"}}', "needs a type"),
        ('{"push":{"user":"*","type":"t"}}', "everyone"),
        ('{"push":{"user":null,"type":"t"}}', "the user is empty"),
        ('{"push":{"user":[],"type":"t"}}', "not what push takes"),
        ('{"publish":{"channel":"x"},"push":{"user":"a","type":"t"}}', "there is no data"),
    ],
)
async def test_a_push_is_answered_the_same_in_a_batch_of_pushes_alone(odd: str, why: str) -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    api = Api(broker, Namespaces(), 65_536)
    good = '{"push":{"user":"b","type":"t","payload":1}}'

    async def answers(*calls: str) -> list[Any]:
        status, answer = await api.call("batch", b'{"commands":[%b]}' % ",".join(calls).encode())
        assert status == 200
        return [reply.get("error") or sorted(reply) for reply in loads(answer)["replies"]]

    alone, among_others = await answers(good, odd), await answers('{"info":null}', odd)
    assert alone == [["push"], among_others[1]]
    assert why in str(alone[1])
    await broker.close()


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("push", b'{"user":"alice","type":"t","payload":{"a":null},"idempotency_key":null,"exclude":null}'),
        ("publish", b'{"channel":"#alice","data":{"a":null},"tags":null,"skip_history":null}'),
        ("history", b'{"channel":"#alice","since":null,"limit":null,"reverse":null}'),
        ("batch", b'{"commands":[{"history":{"channel":"#alice","limit":null}}]}'),
    ],
)
async def test_null_is_absent_in_calls(method: str, body: bytes) -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    api = Api(broker, Namespaces(), 65_536)
    status, answer = await api.call(method, body)
    assert status == 200
    assert b'"error"' not in answer
    assert b"null" not in answer
    kept = (await broker.read_page("#alice", None, 9)).publications
    assert all(b'{"a":null}' in each.data for each in kept)
    assert len(kept) == (method in {"push", "publish"})
    await broker.close()


@pytest.mark.parametrize("method", ["publish", "history", "history_remove", "presence", "presence_stats"])
async def test_a_call_without_a_channel_is_a_bad_request_and_one_of_none_unknown(method: str) -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    api = Api(broker, Namespaces(), 65_536)
    for call, code in (({}, 107), ({"channel": ""}, 107), ({"channel": None}, 107), ({"channel": "nix:a"}, 102)):
        answer = json.loads((await api.call(method, json.dumps(call | {"data": 1}).encode()))[1])
        assert answer["error"]["code"] == code, call
    await broker.close()


async def test_the_version_of_a_document_drops_what_is_older_by_every_call() -> None:
    broker, sink = MemoryBroker(), RecordingSink()
    await broker.start(sink)
    api = Api(broker, Namespaces(), 65_536)
    for method, call, channels in (
        ("push", {"user": "alice", "type": "t"}, ["#alice"]),
        ("broadcast_push", {"type": "t"}, ["*"]),
        ("publish", {"channel": "x", "data": 1}, ["x"]),
        ("broadcast", {"channels": ["y", "z"], "data": 1}, ["y", "z"]),
    ):
        answers = []
        for version in ({"version": 5}, {"version": 4}, {}, {"version": 1, "version_epoch": "b"}, {"version": None}):
            _, body = await api.call(method, json.dumps(call | version).encode())
            answers.append(json.loads(body)["result"])
        for number, channel in enumerate(channels):
            receipts = [each["responses"][number]["result"] for each in answers] if len(channels) > 1 else answers
            assert [receipt["offset"] for receipt in receipts] == [1, 1, 2, 3, 4], method
            assert receipts[0] == receipts[1], method
            assert len((await broker.read_page(channel, None, 9)).publications) == 4
        for wrong in (
            {"version": -1},
            {"version": 2**63},
            {"version": "5"},
            {"version": 1, "version_epoch": "e" * 256},
        ):
            answer = json.loads((await api.call(method, json.dumps(call | wrong).encode()))[1])
            refused = answer if "error" in answer else answer["result"]["responses"][0]
            assert refused["error"]["code"] == 107, (method, wrong)
    answers = []
    assert api.start("push", b'{"user":"alice","type":"t","version":1}', lambda _, body: answers.append(body))
    assert json.loads(answers[0])["result"]["offset"] == 4
    await broker.close()


async def test_whom_a_publication_is_not_for_goes_with_it_and_what_is_nobody_s_id_with_none() -> None:
    broker, sink = MemoryBroker(), RecordingSink()
    await broker.start(sink)
    api = Api(broker, Namespaces(), 65_536)
    for channel in ("#alice", "*", "x", "y"):
        await broker.subscribe(channel)
    for exclude in ("c-1", "", "a b", "x" * 65, "\u00e9"):
        for method, call in (
            ("push", {"user": "alice", "type": "t"}),
            ("broadcast_push", {"type": "t"}),
            ("publish", {"channel": "x", "data": 1}),
            ("broadcast", {"channels": ["x", "y"], "data": 1}),
        ):
            body = json.dumps(call | {"exclude": exclude}).encode()
            assert "result" in json.loads((await api.call(method, body))[1])
            sent = [publication.exclude for _, publication in sink.publications]
            assert set(sent) == {"c-1" if exclude == "c-1" else ""}, (method, exclude)
            sink.publications.clear()
    answers: list[int] = []
    assert api.start("push", b'{"user":"alice","type":"t","exclude":"c-1"}', lambda status, _: answers.append(status))
    assert ([publication.exclude for _, publication in sink.publications], answers) == (["c-1"], [200])
    await broker.close()


async def test_every_method_is_carried_out_and_nothing_else(broker: Failing) -> None:
    api = Api(broker, Namespaces(), 65_536)
    for name in METHODS:
        status, answer = await api.call(name, b"[]")
        assert (status, loads(answer)["error"]["code"]) == (400, BAD_REQUEST.code), name
    for name in ("tell", "pause", "store", "nothing"):
        _, answer = await api.call(name, b"[]")
        assert loads(answer)["error"]["code"] == METHOD_NOT_FOUND.code, name


async def test_a_revocation_is_stored_where_nobody_can_read_or_remove_it() -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    api = Api(broker, Namespaces(), 65_536)
    before = time.time()
    assert await api.call("revoke", b'{"user":"alice"}') == (200, b'{"result":{}}')
    assert await api.call("revoke", b'{"user":"bob","before":5.25}') == (200, b'{"result":{}}')
    channel = json.dumps({"channel": REVOKED, "data": {"user": "alice", "before": 0}}).encode()
    for method in ("publish", "history", "history_remove", "presence", "presence_stats"):
        assert json.loads((await api.call(method, channel))[1])["error"]["code"] == 102
    alice, bob = (decode_revocation(each.data) for each in (await broker.read_page(REVOKED, None, 9)).publications)
    assert bob == Revocation("bob", 5.25)
    assert alice.user == "alice"
    assert before <= alice.before <= time.time()
    await broker.close()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"user":""}',
        b'{"user":"*"}',
        b'{"user":"a\\n"}',
        b'{"user":"alice","before":9e9}',
        b'{"before":1}',
        b'{"user":"alice","token":"t","channels":"a:*"}',
        b'{"user":"alice","channels":"a*b"}',
        b'{"user":"alice","token":"' + b"x" * 300 + b'"}',
    ],
)
async def test_a_revocation_of_nobody_or_of_what_is_yet_to_be_made_is_refused(body: bytes, broker: Failing) -> None:
    broker.error = BrokerError("it was asked")
    _, answer = await Api(broker, Namespaces(), 65_536).call("revoke", body)
    assert json.loads(answer)["error"]["code"] == 107


@pytest.mark.parametrize(
    ("error", "status"),
    [(NoRoom("full"), 507), (Unanswered("lost"), 504), (Unavailable("away"), 503), (BrokerError("no"), 200)],
)
async def test_what_a_broker_fails_with_is_told_apart(broker: Failing, error: BrokerError, status: int) -> None:
    told: list[tuple[str, BrokerError]] = []
    api = Api(broker, Namespaces(), 65_536, lambda method, failure: told.append((method, failure)))
    broker.error = error
    answered, answer = await api.call("push", PUSH)
    assert (answered, json.loads(answer)["error"]) == (status, {"code": 100, "message": str(error)})
    assert told == [("push", error)]


async def test_calls_and_refusals_are_counted(broker: Failing) -> None:
    api = Api(broker, Namespaces(), 65_536)
    for method in ("push", "push", "nonsense", "__class__"):
        await api.call(method, b"{}")
    assert api.answered == {"push": 2, "unknown": 2}
    assert api.refused == {107: 2, 104: 2}


ABOUT_USERS = ("subscribe", "unsubscribe", "disconnect", "refresh", "revoke", "push")
NOBODY = {
    "": "the user is empty",
    "*": "'*' is everyone, not a user",
    "a\n": "U+000A",
    "x" * 256: "at most 255 bytes",
}


class Untold(MemoryBroker):
    """Fails when anything is asked of it."""

    async def publish(self, items: Sequence[Item]) -> list[Stored]:
        raise AssertionError(items)

    async def send_control(self, message: bytes) -> None:
        raise AssertionError(message)


async def refusal(method: str, body: dict[str, object], namespaces: Namespaces | None = None) -> tuple[int, str]:
    """The code and the message that a call is refused with, before a broker hears of it."""
    _, answer = await Api(Untold(), namespaces or Namespaces(), 65_536).call(method, json.dumps(body).encode())
    error = json.loads(answer)["error"]
    return error["code"], error["message"]


@pytest.mark.parametrize("user", NOBODY)
@pytest.mark.parametrize("method", ABOUT_USERS)
async def test_a_call_about_nobody_or_everyone_is_refused_and_says_why(method: str, user: str) -> None:
    code, message = await refusal(method, {"user": user, "channel": "news", "type": "t", "payload": 1})
    assert code == 107
    assert NOBODY[user] in message
    assert ("broadcast_push" in message) == (user == "*")


ABOUT_CHANNELS = ("publish", "subscribe", "unsubscribe", "presence", "presence_stats", "history", "history_remove")
NO_CHANNELS = {
    "": "the channel is empty",
    "a b": "printable ASCII",
    "a\n": "printable ASCII",
    "#*": "call broadcast_push or publish into `*`",
    "#": "the user is empty",
    "#a\n": "U+000A",
    "!revoked": "the gateways' own",
    "nosuch:x": "no namespace 'nosuch'",
    "room:x": "channel_regex",
}


@pytest.mark.parametrize("channel", NO_CHANNELS)
@pytest.mark.parametrize("method", ABOUT_CHANNELS)
async def test_a_call_about_what_is_no_channel_is_refused_and_says_why(method: str, channel: str) -> None:
    namespaces = Namespaces(named={"room": NamespaceOptions(channel_regex="[0-9]+")})
    code, message = await refusal(method, {"user": "alice", "channel": channel, "data": 1}, namespaces)
    assert code == (102 if channel else 107)
    assert message.startswith("unknown channel") or not channel
    assert NO_CHANNELS[channel] in message


async def test_a_broadcast_names_each_channel_that_is_none() -> None:
    made = MemoryBroker()
    await made.start(RecordingSink())
    _, answer = await Api(made, Namespaces(), 65_536).call("broadcast", b'{"channels":["news","#*"],"data":1}')
    good, bad = json.loads(answer)["result"]["responses"]
    assert good["result"]["offset"] == 1
    assert "broadcast_push" in bad["error"]["message"]
    await made.close()


class Told:
    """What a call that was started is answered."""

    def __init__(self, api: Api, method: str, body: bytes) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.has_started = api.start(method, body, lambda status, answer: self.answers.append((status, loads(answer))))


async def test_a_publish_is_carried_out_in_one_step_as_it_is_otherwise(broker: Failing) -> None:
    """And what cannot be is left to `call`, which says why."""

    async def wait_without_end() -> AsyncIterator[list[Item]]:
        yield await asyncio.get_running_loop().create_future()

    held = {"#slow": wait_without_end()}
    api = Api(broker, Namespaces(), 65_536, before_publishing=lambda items: held.get(items[0].channel))
    ((status, answer),) = Told(api, "push", PUSH).answers
    assert (status, answer["result"]["offset"], api.answered["push"]) == (200, 1, 1)
    for method, body in (
        ("push", b""),
        ("push", b"{}"),
        ("push", PUSH[:-1]),
        ("push", '{"user":"Ä","type":"t"}'.encode()),
        ("push", PUSH.replace(b"alice", b"slow")),
        ("push", b'{"user":"alice","type":"t","payload":"%b"}' % (b"x" * 70_000)),
        ("history", b'{"channel":"#alice"}'),
        ("batch", b'{"commands":[]}'),
        ("unheard of", b"{}"),
    ):
        told = Told(api, method, body)
        assert (told.has_started, told.answers) == (False, [])
    assert (dict(api.answered), dict(api.refused)) == ({"push": 1}, {})


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_broker_that_fails_is_told_and_counted_however_it_was_asked(at_once: bool) -> None:
    class FailingNow(MemoryBroker):
        def publish_now(self, item: Item, later: Later) -> Stored:
            if at_once:
                raise NoRoom("full")
            nothing = Stored("", 0, "", "memory")
            asyncio.get_running_loop().call_soon(lambda: later(nothing, NoRoom("full")))
            return None  # type: ignore[return-value]

    failed: list[str] = []
    api = Api(FailingNow(), Namespaces(), 65_536, lambda method, error: failed.append(f"{method}: {error}"))
    told = Told(api, "push", PUSH)
    await until(lambda: bool(told.answers))
    assert told.answers == [(507, {"error": {"code": 100, "message": "full"}})]
    assert (failed, api.answered["push"], api.refused[100]) == (["push: full"], 1, 1)


async def test_who_of_many_is_online_is_told_in_their_order() -> None:
    broker = MemoryBroker()
    await broker.start(RecordingSink())
    for user in ("bob", "alice"):
        await broker.join(f"#{user}", ClientInfo(user, user), keep=True, tell=False)
    api = Api(broker, Namespaces(), 65_536)
    many = [f"user{number}" for number in range(1000)]
    body = json.dumps({"users": ["alice", *many, "carol", "bob", "alice"]}).encode()
    assert await api.call("online", body) == (200, b'{"result":{"users":["alice","bob"]}}')
    for body, code in ((b"{}", 107), (b'{"users":["*"]}', 107), (b'{"users":[""]}', 107)):
        assert json.loads((await api.call("online", body))[1])["error"]["code"] == code
    too_many = json.dumps({"users": ["u"] * 10_001}).encode()
    assert (await api.call("online", too_many))[0] == 413
    closed = Api(broker, Namespaces(personal=NamespaceOptions()), 65_536)
    assert json.loads((await closed.call("online", b'{"users":["alice"]}'))[1])["error"]["code"] == 108
    await broker.close()
