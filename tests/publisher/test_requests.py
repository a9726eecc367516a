"""Calls as JSON, and answers as results or errors: by values, without a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
import pytest

from messageflow import Flow, Message
from messageflow.client_io.outcome import Response
from messageflow.errors import EncodingError, InvalidMessage, PayloadTooLarge, PublishError, Refused, Unauthorized
from messageflow.handlers.event import Event
from messageflow.publisher import requests
from messageflow.publisher.call import Call
from messageflow.publisher.error_texts import describe_gateway
from messageflow.publisher.responses import read
from messageflow.publisher.results import ClientInfo, History, Node, Position, PresenceStats, Publication, Receipt

GATEWAY = describe_gateway("http://gateway")
KEY = "k1"


class ReportReady(Message):
    id: int


@dataclass
class NoMessage:
    id: int


CALLS: list[tuple[Call[Any], str, dict[str, Any]]] = [
    (
        requests.push("alice", "report/ready", {"id": 7}, idempotency_key=KEY),
        "push",
        {"user": "alice", "type": "report/ready", "payload": {"id": 7}, "idempotency_key": KEY},
    ),
    (
        requests.push("alice", ReportReady(7), idempotency_key=KEY),
        "push",
        {"user": "alice", "type": "report/ready", "payload": {"id": 7}, "idempotency_key": KEY},
    ),
    (
        requests.broadcast(ReportReady(7), idempotency_key=KEY),
        "broadcast_push",
        {"type": "report/ready", "payload": {"id": 7}, "idempotency_key": KEY},
    ),
    (
        requests.publish("news", ReportReady(7), idempotency_key=KEY),
        "publish",
        {"channel": "news", "data": {"type": "report/ready", "payload": {"id": 7}}, "idempotency_key": KEY},
    ),
    (
        requests.publish("news", NoMessage(7), idempotency_key=KEY),
        "publish",
        {"channel": "news", "data": {"id": 7}, "idempotency_key": KEY},
    ),
    (
        requests.push(42, "t", idempotency_key=KEY),
        "push",
        {"user": "42", "type": "t", "payload": None, "idempotency_key": KEY},
    ),
    (
        requests.broadcast("t", [1], idempotency_key=KEY),
        "broadcast_push",
        {"type": "t", "payload": [1], "idempotency_key": KEY},
    ),
    (
        requests.publish("news", "hi", idempotency_key=KEY),
        "publish",
        {"channel": "news", "data": "hi", "idempotency_key": KEY},
    ),
    (
        requests.publish("news", None, tags={"a": "b"}, skip_history=True, idempotency_key=KEY),
        "publish",
        {"channel": "news", "data": None, "idempotency_key": KEY, "tags": {"a": "b"}, "skip_history": True},
    ),
    (
        requests.push("alice", "t", 1, idempotency_key=KEY, exclude=Event(name="save", client="c-1")),
        "push",
        {"user": "alice", "type": "t", "payload": 1, "idempotency_key": KEY, "exclude": "c-1"},
    ),
    (
        requests.broadcast("t", 1, idempotency_key=KEY, exclude="c-1"),
        "broadcast_push",
        {"type": "t", "payload": 1, "idempotency_key": KEY, "exclude": "c-1"},
    ),
    (
        requests.publish("news", 1, idempotency_key=KEY, exclude="c-1"),
        "publish",
        {"channel": "news", "data": 1, "idempotency_key": KEY, "exclude": "c-1"},
    ),
    (
        requests.publish("news", 1, idempotency_key=KEY, exclude=Event(name="occupied", channel="news")),
        "publish",
        {"channel": "news", "data": 1, "idempotency_key": KEY},
    ),
    (
        requests.push("alice", "t", 1, idempotency_key=KEY, version=7, version_epoch="e"),
        "push",
        {"user": "alice", "type": "t", "payload": 1, "idempotency_key": KEY, "version": 7, "version_epoch": "e"},
    ),
    (
        requests.broadcast("t", 1, idempotency_key=KEY, version=7),
        "broadcast_push",
        {"type": "t", "payload": 1, "idempotency_key": KEY, "version": 7},
    ),
    (
        requests.publish("news", 1, idempotency_key=KEY, version=2**63 - 1),
        "publish",
        {"channel": "news", "data": 1, "idempotency_key": KEY, "version": 2**63 - 1},
    ),
    (requests.subscribe("alice", "news"), "subscribe", {"user": "alice", "channel": "news"}),
    (requests.unsubscribe("alice", "news"), "unsubscribe", {"user": "alice", "channel": "news"}),
    (requests.disconnect(7), "disconnect", {"user": "7"}),
    (
        requests.disconnect("alice", code=4000, reason="moved"),
        "disconnect",
        {"user": "alice", "disconnect": {"code": 4000, "reason": "moved"}},
    ),
    (requests.revoke(7, 1.5), "revoke", {"user": "7", "before": 1.5}),
    (requests.revoke(7, 1.5, token="abc"), "revoke", {"user": "7", "before": 1.5, "token": "abc"}),
    (requests.revoke(7, 1.5, channels="a:*"), "revoke", {"user": "7", "before": 1.5, "channels": "a:*"}),
    (requests.online("alice"), "presence_stats", {"channel": "#alice"}),
    (requests.presence("news"), "presence", {"channel": "news"}),
    (requests.presence_stats("news"), "presence_stats", {"channel": "news"}),
    (requests.history("news"), "history", {"channel": "news", "limit": 100, "reverse": False}),
    (
        requests.history("news", limit=0, since=Position(5, "xyz"), reverse=True),
        "history",
        {"channel": "news", "limit": 0, "reverse": True, "since": {"offset": 5, "epoch": "xyz"}},
    ),
    (requests.history_remove("news"), "history_remove", {"channel": "news"}),
    (requests.channels("chat:*"), "channels", {"pattern": "chat:*"}),
    (requests.info(), "info", {}),
]


@pytest.mark.parametrize(("call", "method", "body"), CALLS)
def test_call_asks(call: Call[Any], method: str, body: dict[str, Any]) -> None:
    assert call.method == method
    assert msgspec.json.decode(call.body) == body


def test_only_publications_store() -> None:
    storing = {call.method for call, _, _ in CALLS if call.stores}
    assert storing == {"push", "broadcast_push", "publish"}


def test_every_publication_has_a_key_of_its_own() -> None:
    keys = {msgspec.json.decode(requests.push("alice", "t").body)["idempotency_key"] for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize("user", [None, True, 1.5, b"alice", ["alice"]])
def test_user_of_another_kind_is_refused(user: Any) -> None:
    with pytest.raises(TypeError, match="user must be"):
        requests.push(user, "t")


def test_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="user is empty"):
        requests.push("", "t")


def test_everyone_cannot_be_disconnected() -> None:
    with pytest.raises(ValueError, match="everyone, not a user"):
        requests.disconnect("*")


@pytest.mark.parametrize(("channel", "kind"), [("", ValueError), (None, TypeError), (7, TypeError)])
def test_channel_without_a_name_is_refused(channel: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="channel"):
        requests.publish(channel, 1)


@pytest.mark.parametrize(("type_", "kind"), [("", ValueError), (None, TypeError)])
def test_type_without_a_name_is_refused(type_: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="type"):
        requests.push("alice", type_)


def test_payload_that_is_no_json_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(EncodingError, match="payload"):
        requests.push("alice", "t", object())


def test_enormous_payload_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_LIMIT", 100)
    with pytest.raises(PayloadTooLarge, match="push an identifier"):
        requests.push("alice", "t", "x" * 100)


def answer(result: Any) -> Response:
    return Response(200, msgspec.json.encode({"result": result}))


RESULTS: list[tuple[Call[Any], Any, Any]] = [
    (
        requests.push("alice", "t"),
        {"channel": "#alice", "offset": 7, "epoch": "xyz", "tag": "ab12", "ack": "disk"},
        Receipt("#alice", 7, "xyz", "ab12", "disk"),
    ),
    (requests.publish("news", 1), {"channel": "news", "unknown": 1}, Receipt("news")),
    (requests.disconnect("alice"), {}, None),
    (requests.online("alice"), {"num_clients": 2, "num_users": 1}, True),
    (requests.online("alice"), {"num_clients": 0, "num_users": 0}, False),
    (requests.presence_stats("news"), {"num_clients": 2, "num_users": 1}, PresenceStats(2, 1)),
    (
        requests.presence("news"),
        {"presence": {"c1": {"user": "alice", "client": "c1", "conn_info": {"n": 1}}}},
        {"c1": ClientInfo("alice", "c1", {"n": 1})},
    ),
    (
        requests.history("news"),
        {"publications": [{"data": {"a": 1}, "offset": 3, "tags": {"x": "y"}, "tag": "ff"}], "offset": 9, "epoch": "e"},
        History((Publication({"a": 1}, 3, "ff", None, {"x": "y"}),), 9, "e"),
    ),
    (requests.channels(), {"channels": {"news": {"num_clients": 3}}}, {"news": 3}),
    (requests.info(), {"nodes": [{"uid": "n1", "num_clients": 3, "metrics": {}}]}, (Node("n1", num_clients=3),)),
]


@pytest.mark.parametrize(("call", "result", "expected"), RESULTS)
def test_result_reads(call: Call[Any], result: Any, expected: Any) -> None:
    assert read(call, answer(result), GATEWAY) == expected


def test_receipt_tells_where_to_read_on() -> None:
    assert Receipt("news", 7, "xyz").position == Position(7, "xyz")
    assert History(offset=9, epoch="e").position == Position(9, "e")


PUSH = requests.push("alice", "t")


@pytest.mark.parametrize("status", [200, 400])
def test_error_of_the_gateway_keeps_code_and_text(status: int) -> None:
    with pytest.raises(Refused, match="error 107: bad request") as caught:
        read(PUSH, Response(status, b'{"error":{"code":107,"message":"bad request"}}'), GATEWAY)
    assert (caught.value.code, caught.value.text) == (107, "bad request")


@pytest.mark.parametrize("body", [b"", b'{"error":{"code":101,"message":"unauthorized"}}'])
def test_wrong_key_names_the_setting_and_the_remedy(body: bytes) -> None:
    with pytest.raises(Unauthorized, match=r"MESSAGEFLOW_API_KEY.*messageflow serve --dev"):
        read(PUSH, Response(401, body), GATEWAY)


@pytest.mark.parametrize("advice", [b"", b": push an identifier and let the browser fetch the rest, or raise it"])
def test_too_large_tells_the_limit_and_the_advice_once(advice: bytes) -> None:
    said = b'{"error":{"code":107,"message":"limit is 65536 bytes%b"}}' % advice
    with pytest.raises(PayloadTooLarge, match=r"limit is 65536 bytes: push an identifier") as caught:
        read(PUSH, Response(413, said), GATEWAY)
    assert str(caught.value).count("identifier") == 1


def test_too_large_for_a_proxy_tells_the_size() -> None:
    with pytest.raises(PayloadTooLarge, match=rf"^{len(PUSH.body)} bytes .*http://gateway: push an identifier"):
        read(PUSH, Response(413, b"<html>"), GATEWAY)


@pytest.mark.parametrize(
    "got",
    [
        Response(200, b"<html><title>It works!</title>"),
        Response(200, b""),
        Response(200, b"[]"),
        Response(200, b"{}"),
        Response(200, b'{"result":{"offset":"seven"}}'),
        Response(301, b""),
        Response(500, b"Internal Server Error"),
    ],
)
def test_what_is_no_gateway_is_told_apart(got: Response) -> None:
    with pytest.raises(PublishError, match=rf"http://gateway is not a messageflow gateway \(status {got.status}"):
        read(PUSH, got, GATEWAY)


def test_wrong_address_is_told_apart() -> None:
    with pytest.raises(PublishError, match="no messageflow API at http://gateway: check"):
        read(PUSH, Response(404, b"Not Found"), GATEWAY)


def test_a_token_is_revoked_by_its_name_or_by_itself() -> None:
    token = Flow(token_secret="x" * 32).token("alice")
    name = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert requests.revoke("alice", 1.5, token=token).body == requests.revoke("alice", 1.5, token=name).body


@pytest.mark.parametrize("token", ["a.b.c", "x.eyJzdWIiOjF9.y", "x.W10.y"])
def test_what_is_no_token_with_a_name_is_not_revoked(token: str) -> None:
    with pytest.raises(ValueError, match="jti"):
        requests.revoke("alice", 1.5, token=token)


def test_a_token_and_channels_are_not_revoked_at_once() -> None:
    with pytest.raises(ValueError, match="not both"):
        requests.revoke("alice", 1.5, token="abc", channels="a:*")


def test_many_users_are_asked_about_at_once_and_told_as_they_were_named() -> None:
    alice, seven = "alice", 7
    call = requests.online_many([alice, seven, "7", "bob"])
    assert (call.method, msgspec.json.decode(call.body)) == ("online", {"users": ["alice", "7", "bob"]})
    assert call.read(b'{"result":{"users":["7","alice"]}}') == {"alice", 7, "7"}
    with pytest.raises(ValueError, match="everyone"):
        requests.online_many(["alice", "*"])


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ReportReady("7"), InvalidMessage, "ReportReady.id: expected int, got str"),  # type: ignore[arg-type]
    (lambda: ReportReady, TypeError, "not the class ReportReady: push an object of it"),
    (lambda: NoMessage(7), TypeError, "NoMessage, which is no message: put @message above its class"),
    (lambda: {"id": 7}, TypeError, "must be a string such as 'report/ready', not dict"),
]


@pytest.mark.parametrize(("make", "error", "text"), WRONG)
def test_what_is_pushed_in_the_place_of_a_type_is_a_message_or_refused(
    make: Callable[[], Any], error: type[Exception], text: str
) -> None:
    for push in (lambda what: requests.push("alice", what), requests.broadcast, Flow("http://gateway").later.broadcast):
        with pytest.raises(error) as caught:
            push(make())
        assert text in str(caught.value)


def test_a_message_has_its_payload_in_itself() -> None:
    with pytest.raises(TypeError, match="ReportReady has its payload in its fields"):
        requests.push("alice", ReportReady(7), {"id": 7})
