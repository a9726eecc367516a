"""Both faces against a real HTTP server: one suite, since they promise the same."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from messageflow import (
    AsyncFlow,
    BatchRefused,
    ConfigurationError,
    EncodingError,
    Flow,
    GatewayUnreachable,
    OutcomeUnknown,
    PayloadTooLarge,
    PublishError,
    Receipt,
    Refused,
    Unauthorized,
)
from messageflow.handlers.decorators import Decorators
from messageflow.publisher import batch as batch_module
from messageflow.publisher import requests, testruns
from messageflow.publisher.collector import CallCollector
from messageflow.publisher.discovery import write_dev_file
from tests.ports import free_port
from tests.publisher.conftest import Face
from tests.publisher.scripted import RECEIPT, ScriptedServer, Silence, Step, error, hang_up, raw, reset, result, say


class Word(str):
    """Text with behaviour."""


class Star(enum.Enum):
    ALL = "*"


STORED = Receipt("#alice", 7, "xyz", "ab12", "memory")


@contextmanager
def flow_to(face: Face, server: ScriptedServer, *script: Step, **options: Any) -> Iterator[Any]:
    server.script.extend(script)
    flow = face.make(server.url, api_key="key", **options)
    yield flow
    face.close(flow)


def test_push_returns_a_receipt(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server) as flow:
        assert face.call(flow, "push", "alice", "report/ready", {"id": 7}, idempotency_key="k") == STORED
    (request,) = server.requests
    assert request.target == "/messageflow/api/push"
    assert request.headers["x-api-key"] == "key"
    assert request.body == {"user": "alice", "type": "report/ready", "payload": {"id": 7}, "idempotency_key": "k"}


def test_push_to_everyone_is_refused_and_a_broadcast_is_not(face: Face, server: ScriptedServer) -> None:
    """Where people choose their names, one who is called `*` would make public what is pushed to them."""
    with flow_to(face, server) as flow:
        for user in ("*", Word("*"), Star.ALL):
            with pytest.raises(ValueError, match=r"everyone, not a user.*broadcast\(\)"):
                face.call(flow, "push", user, "t")
            with pytest.raises(ValueError, match=r"everyone, not a user.*broadcast\(\)"):
                flow.batch().push(user, "t")
        face.call(flow, "broadcast", "t")
    assert [request.target for request in server.requests] == ["/messageflow/api/broadcast_push"]


CALLS: list[tuple[str, tuple[Any, ...], Any, Any]] = [
    ("publish", ("news", 1), RECEIPT, STORED),
    ("subscribe", ("alice", "news"), {}, None),
    ("unsubscribe", ("alice", "news"), {}, None),
    ("disconnect", ("alice",), {}, None),
    ("revoke", ("alice",), {}, None),
    ("online", ("alice",), {"num_clients": 1}, True),
    ("presence", ("news",), {"presence": {}}, {}),
    ("channels", (), {"channels": {"news": {"num_clients": 2}}}, {"news": 2}),
    ("info", (), {"nodes": []}, ()),
    ("history_remove", ("news",), {}, None),
]


@pytest.mark.parametrize(("name", "arguments", "said", "expected"), CALLS, ids=[call[0] for call in CALLS])
def test_call(face: Face, server: ScriptedServer, name: str, arguments: Any, said: Any, expected: Any) -> None:
    with flow_to(face, server, result(said)) as flow:
        assert face.call(flow, name, *arguments) == expected


def test_history_and_stats(face: Face, server: ScriptedServer) -> None:
    history = result({"publications": [{"data": 1, "offset": 1}], "offset": 1, "epoch": "e"})
    with flow_to(face, server, history, result({"num_clients": 2, "num_users": 1})) as flow:
        assert [each.data for each in face.call(flow, "history", "news").publications] == [1]
        assert face.call(flow, "presence_stats", "news").num_clients == 2


def test_connection_is_kept(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server) as flow:
        for _ in range(5):
            face.call(flow, "push", "alice", "t")
        face.call(face.make(server.url), "push", "alice", "t")
    assert [request.connection for request in server.requests] == [1] * 6


def test_connection_the_gateway_closes_is_not_used_again(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, result(RECEIPT, keep=False)) as flow:
        face.call(flow, "push", "alice", "t")
        face.call(flow, "push", "alice", "t")
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("breaking", [hang_up, reset, say(503, b""), say(502, b""), say(504, b"<html>")])
def test_lost_answer_is_asked_for_again_with_the_same_key(face: Face, server: ScriptedServer, breaking: Step) -> None:
    with flow_to(face, server, breaking, breaking) as flow:
        assert face.call(flow, "push", "alice", "t") == STORED
    assert len(server.keys) == 3
    assert len(set(server.keys)) == 1


def test_answer_that_came_too_late_is_not_anothers(face: Face, server: ScriptedServer) -> None:
    late = Silence(then=result({**RECEIPT, "offset": 666}))
    with flow_to(face, server, late, timeout=1.0) as flow:
        assert face.call(flow, "push", "alice", "t") == STORED  # the second attempt, on another connection
        late.released.set()
        assert face.call(flow, "push", "alice", "t") == STORED
    assert server.keys[0] == server.keys[1] != server.keys[2]
    assert [request.connection for request in server.requests] == [1, 2, 2]


def test_no_answer_at_all_leaves_the_outcome_unknown(face: Face, server: ScriptedServer) -> None:
    silences = [Silence(), Silence(), Silence()]
    with (
        flow_to(face, server, *silences, timeout=0.2) as flow,
        pytest.raises(OutcomeUnknown, match=r"within 0\.2 s .*idempotency_key"),
    ):
        face.call(flow, "push", "alice", "t")
    assert len(set(server.keys)) == 1
    for silence in silences:
        silence.released.set()


def test_question_without_an_answer_stored_nothing(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, *[hang_up] * 20, timeout=0.1) as flow, pytest.raises(PublishError) as caught:
        face.call(flow, "online", "alice")
    assert type(caught.value) is PublishError


def test_nobody_listening_names_the_remedy(face: Face) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(GatewayUnreachable) as caught:
        face.call(face.make(url, timeout=1.0), "push", "alice", "t")
    assert str(caught.value) == (
        f"no gateway answers at {url}: start one with `messageflow serve --dev` or set MESSAGEFLOW_URL"
    )


def test_name_that_does_not_resolve_is_unreachable(face: Face) -> None:
    with pytest.raises(GatewayUnreachable, match=r"gateway\.invalid"):
        face.call(face.make("http://gateway.invalid", timeout=0.1), "push", "alice", "t")


def test_gateway_that_is_never_ready_is_unreachable(face: Face, server: ScriptedServer) -> None:
    with (
        flow_to(face, server, *[say(503, b"{}")] * 20, timeout=1.0) as flow,
        pytest.raises(GatewayUnreachable, match=r"503.*nothing was stored"),
    ):
        face.call(flow, "push", "alice", "t")


ERRORS: list[tuple[Step, type[PublishError], str]] = [
    (error(101, "unauthorized", 401), Unauthorized, "MESSAGEFLOW_API_KEY"),
    (error(107, "limit is 65536 bytes", 413), PayloadTooLarge, "65536"),
    (error(102, "unknown channel"), Refused, "102"),
    (say(200, b"<html>", kind="text/html"), PublishError, "not a messageflow gateway"),
    (say(404, b"nope"), PublishError, "MESSAGEFLOW_URL"),
]


@pytest.mark.parametrize(("step", "kind", "message"), ERRORS, ids=[kind.__name__ for _, kind, _ in ERRORS])
def test_answer_that_is_an_error(
    face: Face, server: ScriptedServer, step: Step, kind: type[PublishError], message: str
) -> None:
    with flow_to(face, server, step) as flow, pytest.raises(kind, match=message):
        face.call(flow, "push", "alice", "t")
    assert len(server.requests) == 1


def test_server_of_another_protocol_is_told_apart(face: Face, server: ScriptedServer) -> None:
    with (
        flow_to(face, server, raw(b"SSH-2.0-OpenSSH\r\n")) as flow,
        pytest.raises(OutcomeUnknown, match="does not speak HTTP"),
    ):
        face.call(flow, "push", "alice", "t")
    assert len(server.requests) == 1


def test_payload_that_is_no_json_is_never_sent(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server) as flow, pytest.raises(EncodingError):
        face.call(flow, "push", "alice", "t", object())
    assert server.requests == []


def test_answer_before_the_whole_request_was_taken(face: Face) -> None:
    """A gateway may refuse a large body by its length, without reading it."""
    with ScriptedServer() as server:
        server.refuse_over = 100_000
        flow = face.make(server.url, timeout=2.0)
        with pytest.raises(PayloadTooLarge):
            face.call(flow, "push", "alice", "t", "x" * 3_000_000)
        face.close(flow)


def test_url_that_is_none_is_refused_at_once(face: Face) -> None:
    with pytest.raises(ConfigurationError):
        face.make("gateway:8000")


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_timeout_of_nothing_is_refused(face: Face, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        face.make(None, timeout=timeout)


def test_flow_made_before_its_gateway_finds_it_later(
    face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGEFLOW_URL", f"http://127.0.0.1:{free_port()}")
    flow = face.make(None, timeout=1.0)
    with pytest.raises(GatewayUnreachable):
        face.call(flow, "push", "alice", "t")
    monkeypatch.delenv("MESSAGEFLOW_URL")
    with pytest.raises(GatewayUnreachable, match=r"there is no development gateway of .*; nothing was stored"):
        face.call(flow, "push", "alice", "t")
    write_dev_file(server.url, "dev-key", "")
    with pytest.raises(GatewayUnreachable, match="this is a test run"):
        face.call(flow, "push", "alice", "t")
    monkeypatch.setattr(testruns, "is_under_test", lambda: False)
    flow = face.make(None, timeout=1.0)
    assert face.call(flow, "push", "alice", "t") == STORED
    assert server.requests[0].headers["x-api-key"] == "dev-key"
    face.close(flow)


@pytest.mark.parametrize("told", ["argument", "variable"])
def test_a_test_run_pushes_into_the_development_gateway_where_it_is_told_to(
    face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    write_dev_file(server.url, "dev-key", "")
    if told == "variable":
        monkeypatch.setenv("MESSAGEFLOW_URL", server.url)
    flow = face.make(server.url if told == "argument" else None)
    assert face.call(flow, "push", "alice", "t") == STORED
    assert server.requests[0].headers["x-api-key"] == "dev-key"
    face.close(flow)


def test_a_development_gateway_that_came_back_at_another_address_is_found_by_the_same_push(
    face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testruns, "is_under_test", lambda: False)
    write_dev_file(server.url, "dev-key", "")
    flow = face.make(None)
    face.call(flow, "push", "alice", "t")
    with ScriptedServer() as another:
        server.script.append(error(101, "unauthorized", 401))  # of another project by now
        write_dev_file(another.url, "dev-key", "")
        assert face.call(flow, "push", "alice", "t") == STORED
        assert [request.headers["x-api-key"] for request in another.requests] == ["dev-key"]
        face.close(flow)


def test_the_gateway_of_another_project_at_the_address_of_our_own_is_told_apart(
    face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testruns, "is_under_test", lambda: False)
    write_dev_file(server.url, "dev-key", "")
    server.script.append(error(101, "unauthorized", 401))
    flow = face.make(None)
    with pytest.raises(GatewayUnreachable, match="is not the development gateway of this project"):
        face.call(flow, "push", "alice", "t")
    server.script.append(error(101, "unauthorized", 401))
    write_dev_file("", "dev-key", "")
    with pytest.raises(GatewayUnreachable, match="has ended, or not begun yet"):
        face.call(flow, "push", "alice", "t")
    assert len(server.requests) == 1
    face.close(flow)


def test_key_that_changed_is_read_again(face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.script.append(error(101, "unauthorized", 401))
    monkeypatch.setenv("MESSAGEFLOW_URL", server.url)
    monkeypatch.setenv("MESSAGEFLOW_API_KEY", "old")
    flow = face.make(None)
    with pytest.raises(Unauthorized):
        face.call(flow, "push", "alice", "t")
    monkeypatch.setenv("MESSAGEFLOW_API_KEY", "new")
    face.call(flow, "push", "alice", "t")
    assert [request.headers["x-api-key"] for request in server.requests] == ["old", "new"]
    face.close(flow)


def test_no_key_shows_when_printed(face: Face) -> None:
    shown = repr(face.make("http://gateway", api_key="hunter2", token_secret="hunter2"))
    assert shown == f"{face.kind.__name__}('http://gateway')"


def test_closed_flow_opens_new_connections(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server) as flow:
        face.call(flow, "push", "alice", "t")
        face.close(flow)
        face.call(flow, "push", "alice", "t")
    assert [request.connection for request in server.requests] == [1, 2]


def fill(face: Face, flow: Any, *users: str, failing: bool = False) -> Any:
    """Send a batch the way each face does; return it, with what it raised."""

    def collect(batch: Any) -> None:
        for user in users:
            batch.push(user, "t")
        if failing:
            raise KeyError("mine")

    if face.kind is Flow:
        with flow.batch() as batch:
            collect(batch)
        return batch

    async def run() -> Any:
        async with flow.batch() as batch:
            collect(batch)
        return batch

    return face.wait(run())


def replies(*offsets: int | None) -> Step:
    each = [
        b'{"error":{"code":107,"message":"bad request"}}' if offset is None else b'{"push":{"offset":%d}}' % offset
        for offset in offsets
    ]
    return say(200, b'{"replies":[%b]}' % b",".join(each))


def test_batch_is_one_request(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, replies(1, 2)) as flow:
        batch = fill(face, flow, "alice", "bob")
    assert [receipt.offset for receipt in batch.receipts] == [1, 2]
    assert [request.target for request in server.requests] == ["/messageflow/api/batch"]
    assert [command["push"]["user"] for command in server.requests[0].body["commands"]] == ["alice", "bob"]


def test_batch_whose_block_raises_sends_nothing(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server) as flow, pytest.raises(KeyError, match="mine"):
        fill(face, flow, "alice", failing=True)
    assert server.requests == []


def test_batch_tells_what_was_refused(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, replies(1, None, 2)) as flow, pytest.raises(BatchRefused) as caught:
        fill(face, flow, "alice", "bob", "carol")
    assert [receipt and receipt.offset for receipt in caught.value.receipts] == [1, None, 2]


def test_batch_that_was_cut_can_be_sent_on(face: Face, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "COMMANDS", 1)
    with flow_to(face, server, replies(1), say(404, b""), replies(2)) as flow:
        batch = flow.batch()
        batch.push("alice", "t")
        batch.push("bob", "t")
        with pytest.raises(PublishError):
            face.wait(batch.send())
        assert [receipt and receipt.offset for receipt in batch.receipts] == [1, None]
        face.wait(batch.send())
        assert [receipt.offset for receipt in batch.receipts] == [1, 2]
    sent = [request.body["commands"][0]["push"] for request in server.requests]
    assert [command["user"] for command in sent] == ["alice", "bob", "bob"]
    assert sent[1] == sent[2]


def test_both_faces_have_the_same_calls_with_the_same_arguments() -> None:
    def calls(kind: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(member).replace(return_annotation=inspect.Signature.empty)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert calls(Flow) == calls(AsyncFlow)
    assert set(calls(Flow)) >= {"push", "publish", "broadcast", "batch", "disconnect", "presence", "history", "token"}


def test_what_collects_calls_takes_them_with_the_arguments_of_a_flow() -> None:
    taken = [name for name in vars(CallCollector) if not name.startswith("_") and hasattr(requests, name)]
    assert taken == ["push", "broadcast", "html", "publish"]
    for name in taken:
        faces = [inspect.signature(getattr(kind, name)).parameters for kind in (Flow, CallCollector)]
        assert faces[0] == faces[1]


def test_async_calls_are_all_awaited() -> None:
    plain = [
        name
        for name, member in inspect.getmembers(AsyncFlow, inspect.isfunction)
        if not (name.startswith("_") or hasattr(Decorators, name) or inspect.iscoroutinefunction(member))
    ]
    assert plain == ["batch", "transaction"]


def test_with_block_closes(server: ScriptedServer) -> None:
    with Flow(server.url) as flow:
        flow.push("alice", "t")
    with Flow(server.url) as flow:
        flow.push("alice", "t")
    assert [request.connection for request in server.requests] == [1, 2]


async def test_async_with_block_closes(server: ScriptedServer) -> None:
    async with AsyncFlow(server.url) as flow:
        await flow.push("alice", "t")
    async with AsyncFlow(server.url) as flow:
        await flow.push("alice", "t")
    assert [request.connection for request in server.requests] == [1, 2]


def test_flow_that_was_refused_closes_its_connections_too(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, error(0, "no", 401)) as flow, pytest.raises(Unauthorized):
        face.call(flow, "push", "alice", "t")
    with flow_to(face, server) as flow:
        face.call(flow, "push", "alice", "t")
    assert [request.connection for request in server.requests] == [1, 2]


def test_one_user_is_online_or_not_and_of_many_it_is_told_who(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, result({"num_clients": 0}), result({"users": ["bob"]})) as flow:
        assert face.call(flow, "online", "bob") is False
        assert face.call(flow, "online", (name for name in ("alice", "bob"))) == {"bob"}
        assert face.call(flow, "online", []) == set()
    assert [request.target.rpartition("/")[2] for request in server.requests] == ["presence_stats", "online"]


def test_very_many_users_are_asked_about_in_several_calls(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, result({"users": ["user1"]}), result({"users": ["user1200"]})) as flow:
        assert face.call(flow, "online", [f"user{number}" for number in range(1500)]) == {"user1", "user1200"}
    assert [len(request.body["users"]) for request in server.requests] == [1000, 500]
