"""The gateway of tests: real, clean for each test, and the page that waits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from messageflow import AsyncFlow, Event, Flow, Message, Refuse, Refused
from messageflow.testing import LiveGateway

REAL = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def started() -> Iterator[LiveGateway]:
    gateway = LiveGateway(connect_timeout="5s")
    yield gateway
    gateway.stop()


@pytest.fixture
def live(started: LiveGateway) -> Iterator[LiveGateway]:
    with started.serving():
        yield started


def test_a_page_waits_for_what_any_flow_pushes(live: LiveGateway) -> None:
    flow = Flow(REAL)
    page = live.connect("alice")
    flow.push("alice", "report/ready", {"id": 7})
    flow.push("alice", "report/ready", {"id": 8})
    flow.later.push("alice", "later")
    assert flow.url == live.url
    assert flow.script_url == f"{live.url}/messageflow.js"
    assert page.wait_for("later").user == "alice"
    assert [page.wait_for("report/ready").payload for _ in range(2)] == [{"id": 7}, {"id": 8}]
    page.settle().broadcasts.none()
    assert flow.online("alice")


def test_nothing_is_left_of_the_test_before(live: LiveGateway) -> None:
    """Which left a history, a connection, and a flow with a kept connection."""
    flow = Flow(REAL)
    assert (flow.history("#alice").offset, flow.online("alice")) == (0, False)
    page = live.connect("alice", since=flow.position("alice"))
    page.settle().none()


def test_what_does_not_come_is_said_with_what_came(live: LiveGateway) -> None:
    page = live.connect("alice")
    page._patience = 0.1
    live.flow.push("alice", "report/raedy")
    with pytest.raises(AssertionError, match=r"'report/ready' was waited for 0\.1 s; heard was"):
        page.wait_for("report/ready")


def test_handlers_of_this_process_are_asked(live: LiveGateway) -> None:
    flow = Flow(REAL)

    @flow.on("live/city")
    def add_city(event: Event) -> None:
        flow.broadcast("live/city", {"name": event.data, "by": event.user})

    @flow.rpc("live/double")
    def double(event: Event) -> int:
        if event.data > 100:
            raise Refuse(1001, "too much")
        return int(event.data * 2)

    page, other = live.connect("alice"), live.connect("bob")
    page.emit("live/city", "Rome")
    assert other.wait_for("live/city").payload == {"name": "Rome", "by": "alice"}
    assert page.call("live/double", 21) == 42
    with pytest.raises(Refused, match="1001: too much"):
        page.call("live/double", 101)
    with pytest.raises(Refused, match="104"):
        page.emit("nobody handles this")


class NumberSaid(Message):
    number: int


def test_typed_messages_go_both_ways_and_a_page_is_told_the_field(live: LiveGateway) -> None:
    flow, async_flow = Flow(REAL), AsyncFlow(REAL)

    @flow.on(NumberSaid)
    def take(event: Event[NumberSaid]) -> None:
        flow.push(event.user, NumberSaid(event.data.number + 1))

    @async_flow.rpc(NumberSaid)
    async def answer(event: Event[NumberSaid]) -> NumberSaid:
        return NumberSaid(event.data.number * 2)

    page = live.connect("alice")
    page.emit(NumberSaid(1))
    assert page.wait_for(NumberSaid).payload == NumberSaid(2)
    assert page.call(NumberSaid(3)) == {"number": 6}
    for say in (page.emit, page.call):
        with pytest.raises(Refused, match=r"107: bad request: number: expected int, got str \(in number/said\)"):
            say("number/said", {"number": "3"})


def test_a_token_decides_and_a_revocation_ends(live: LiveGateway) -> None:
    flow = Flow(REAL, token_secret="another secret, of production, 0123456789abc")
    page = live.connect(token=flow.token("alice", allow=["rooms:*"]))
    with pytest.raises(Refused, match="102"):
        page.subscribe("rooms:blue")
    page = live.connect(token=flow.token("bob", allow=["blue"]))
    page.subscribe("blue")
    flow.publish("blue", {"text": "hello"})
    assert page.wait_for(channel="blue").data == {"text": "hello"}
    flow.revoke("bob")
    assert page.wait_until_closed().startswith("3")
    with pytest.raises(Refused):
        live.connect()


def test_programs_that_a_test_starts_find_it(live: LiveGateway) -> None:
    page = live.connect("alice")
    program = "from messageflow import Flow; Flow().push('alice', 'from elsewhere')"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **live.environ}, timeout=30)
    page.wait_for("from elsewhere")


def test_a_gateway_that_has_ended_says_what_it_logged(started: LiveGateway) -> None:
    started._process.kill()
    started._process.wait()
    with pytest.raises(RuntimeError, match="the gateway of the tests has ended"):
        started.renew()


def test_it_does_not_start_with_a_setting_that_is_none() -> None:
    with pytest.raises(RuntimeError, match="conect_timeout"):
        LiveGateway(conect_timeout="5s")
