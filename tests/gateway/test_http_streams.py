"""Streams over HTTP through a real gateway: who is let in, what they hear, how they come back, how they end."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow import Flow
from messageflow.core.event_ids import channel_key
from tests.stream_reader import Stream
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

EVENTS, LINES = "/connection/uni_sse", "/connection/uni_http_stream"
SECONDS = 15.0
KEYS = ",".join(f"{channel_key(name).decode()}:invented:1:t" for name in ("#gil", "*"))
SETTINGS = """
[channel.without_namespace]
[[channel.namespaces]]
name = "back"
[[channel.namespaces]]
name = "value"
force_recovery_mode = "cache"
history_size = 1
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("streams")
    (directory / "messageflow.toml").write_text(SETTINGS)
    arguments = ["serve", "--config", str(directory / "messageflow.toml"), "--allowed-origins", "https://shop.example"]
    with running([*arguments, "--token-lifetime-limit", "1d"], directory / "data") as started:
        yield started


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


def refusal(gateway: Running, target: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    with Stream(gateway, target, headers) as stream:
        return stream.status, stream.read()


def test_a_ticket_opens_a_stream(gateway: Running, flow: Flow) -> None:
    with Stream(gateway, f"{EVENTS}?ticket={flow.ticket('ann', channels=['news'])}") as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (stream.headers["x-accel-buffering"], stream.headers["cache-control"]) == (
            "no", "no-cache, no-store, no-transform",
        )  # fmt: skip
        name, begun = stream.event()
        assert (name, begun["channels"]) == ("connect", ["#ann", "*", "news"])
        flow.push("ann", "report/ready", {"id": 7})
        assert stream.data() == {"type": "report/ready", "payload": {"id": 7}}
        flow.publish("news", [1, 2])
        assert stream.data() == [1, 2]
        flow.push("ben", "not/hers")
        flow.broadcast("for/all")
        assert stream.data()["type"] == "for/all"


def test_a_token_in_a_header_opens_either_kind(gateway: Running, flow: Flow) -> None:
    headers = {"Authorization": f"Bearer {flow.token('cat')}"}
    with Stream(gateway, EVENTS, headers) as events, Stream(gateway, LINES, headers) as lines:
        assert events.event()[0] == "connect"
        assert list(lines.line()["connect"]["subs"]) == ["#cat", "*"]
        flow.push("cat", "a", 1)
        assert events.data() == {"type": "a", "payload": 1}
        assert lines.line()["pub"]["data"] == {"type": "a", "payload": 1}


def test_a_program_asks_in_the_body(gateway: Running, flow: Flow) -> None:
    body = json.dumps({"token": flow.token("dan"), "name": "a script"})
    with Stream(gateway, LINES, body=body) as lines:
        assert list(lines.line()["connect"]["subs"]) == ["#dan", "*"]


def test_a_stream_comes_back_to_where_it_was(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('eve', channels=['back:1'])}"
    with Stream(gateway, target) as stream:
        stream.event()
        flow.publish("back:1", "heard")
        assert stream.data() == "heard"
    flow.push("eve", "missed", 1)
    flow.publish("back:1", "missed too")
    with Stream(gateway, target, {"Last-Event-ID": stream.last_id}) as again:
        assert again.event()[0] == "connect"
        assert [again.data(), again.data()] == [{"type": "missed", "payload": 1}, "missed too"]
        flow.push("eve", "live")
        assert again.data()["type"] == "live"


def test_one_that_was_cut_before_anything_was_published_misses_nothing(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('fay', channels=['back:2'])}"
    with Stream(gateway, target) as stream:
        stream.event()
        flow.push("fay", "a")
        stream.data()
    flow.publish("back:2", "first ever")
    with Stream(gateway, target, {"Last-Event-ID": stream.last_id}) as again:
        assert again.data() == "first ever"


@pytest.mark.parametrize("last", ["7", "p,junk", f"p,{KEYS}", "," * 2000])
def test_an_invented_id_is_a_reset_and_nothing_else(gateway: Running, flow: Flow, last: str) -> None:
    with Stream(gateway, f"{EVENTS}?ticket={flow.ticket('gil')}", {"Last-Event-ID": last}) as stream:
        assert stream.status == 200
        assert stream.event()[0] == "connect"
        assert stream.event() == ("reset", {"channels": ["#gil", "*"]})
        flow.push("gil", "live")
        assert stream.data()["type"] == "live"


def test_the_id_of_another_user_is_a_reset_of_ones_own_channel(gateway: Running, flow: Flow) -> None:
    with Stream(gateway, f"{EVENTS}?ticket={flow.ticket('gus')}") as other:
        other.event()
        flow.push("gus", "his", 1)
        other.data()
    with Stream(gateway, f"{EVENTS}?ticket={flow.ticket('guy')}", {"Last-Event-ID": other.last_id}) as stream:
        assert stream.event()[0] == "connect"
        assert stream.event() == ("reset", {"channels": ["#guy"]})
        flow.push("guy", "live")
        assert stream.data()["type"] == "live"


def test_what_history_no_longer_has_is_said(gateway: Running, flow: Flow) -> None:
    ticket = f"{EVENTS}?ticket={flow.ticket('hal', channels=['back:3'])}"
    with Stream(gateway, ticket) as stream:
        stream.event()
        flow.publish("back:3", 1)
        stream.data()
    flow.publish("back:3", 2)
    flow.history_remove("back:3")
    with Stream(gateway, ticket, {"Last-Event-ID": stream.last_id}) as again:
        again.event()
        assert again.event() == ("reset", {"channels": ["back:3"]})


def test_the_newest_value_is_there_at_once_where_it_is_asked_for(gateway: Running, flow: Flow) -> None:
    flow.publish("value:sun", {"degrees": 21})
    with Stream(gateway, f"{EVENTS}?newest&ticket={flow.ticket('ida', channels=['value:sun'])}") as stream:
        assert stream.data() == {"degrees": 21}


def test_a_ticket_is_good_once(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('jim')}"
    with Stream(gateway, target) as stream:
        stream.event()
        status, text = refusal(gateway, target)
        assert (status, json.loads(text)["error"]["code"]) == (401, 3500)
        assert refusal(gateway, target, {"Last-Event-ID": "0" * 24 + stream.last_id[24:]})[0] == 401


def test_what_is_no_ticket_in_time_opens_nothing(gateway: Running, flow: Flow) -> None:
    late = flow.ticket("kim", ttl=0.05)
    time.sleep(0.06)
    assert refusal(gateway, f"{EVENTS}?ticket={late}")[0] == 401
    assert refusal(gateway, f"{EVENTS}?ticket={flow.token('kim')}")[0] == 401
    assert refusal(gateway, EVENTS, {"Authorization": f"Bearer {flow.ticket('kim')}"})[0] == 401
    status, text = refusal(gateway, EVENTS)
    assert (status, "?ticket= (flow.ticket)" in text) == (401, True)
    status, text = refusal(gateway, f"{EVENTS}?token={flow.token('kim')}")
    assert status == 400
    assert "flow.ticket" in text


def test_another_origin_is_told_so(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('lea')}"
    assert refusal(gateway, target, {"Origin": "https://evil.example"})[0] == 401
    assert refusal(gateway, target, {"Sec-Fetch-Site": "cross-site"})[0] == 401
    bearer = {"Authorization": f"Bearer {flow.token('lea')}", "Origin": "null"}
    assert refusal(gateway, LINES, bearer)[0] == 403
    with Stream(gateway, target, {"Origin": "https://shop.example"}) as stream:
        assert (stream.status, stream.headers["access-control-allow-origin"]) == (200, "https://shop.example")


def test_a_page_elsewhere_may_ask_before_it_asks(gateway: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=SECONDS)
    connection.request("OPTIONS", LINES, headers={"Origin": "https://shop.example"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "GET, POST, OPTIONS")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "last-event-id", "datastar-request", "hx-request"} <= set(allowed)
    connection.close()


def test_what_is_no_request_for_a_stream(gateway: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=SECONDS)
    for method, body, status in (("DELETE", None, 405), ("POST", "[1]", 400), ("POST", "x" * 70_000, 413)):
        connection.request(method, LINES, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, method
    connection.close()


def test_who_leaves_is_gone_at_once(gateway: Running, flow: Flow) -> None:
    with Stream(gateway, f"{EVENTS}?ticket={flow.ticket('may')}") as stream:
        stream.event()
        assert flow.online("may")
    left = time.monotonic()
    wait_until(lambda: not flow.online("may"))
    assert time.monotonic() - left < 2


def test_who_is_revoked_is_cut_and_does_not_come_back(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('ned')}"
    with Stream(gateway, target) as stream:
        stream.event()
        flow.push("ned", "a")
        stream.data()
        flow.revoke("ned")
        assert stream.event()[0] == "disconnect"
        with pytest.raises(EOFError):
            stream.event()
    assert refusal(gateway, target, {"Last-Event-ID": stream.last_id})[0] == 401


def test_a_stream_ends_when_its_time_is_over(gateway: Running, flow: Flow) -> None:
    target = f"{EVENTS}?ticket={flow.ticket('oda', lifetime=1.0)}"
    with Stream(gateway, target) as stream:
        stream.event()
        assert stream.event() == ("disconnect", {"code": 3005, "reason": "connection expired"})
    assert refusal(gateway, target, {"Last-Event-ID": stream.last_id})[0] == 401


def test_a_gateway_that_ends_says_so_and_has_told_each_when_to_come_back(tmp_path: Path) -> None:
    with running(["serve"], tmp_path / "data") as ending:
        flow = Flow(ending.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
        with Stream(ending, EVENTS, {"Authorization": f"Bearer {flow.token('pia')}"}) as stream:
            stream.event()
            assert ending.terminate() == 0
            assert stream.event() == ("disconnect", {"code": 3001, "reason": "shutdown"})
