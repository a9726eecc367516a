"""What the recorder takes, what it refuses as a gateway would, and what it says when something is missing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow import (
    AsyncFlow,
    EncodingError,
    Flow,
    GatewayUnreachable,
    InvalidMessage,
    Message,
    PayloadTooLarge,
    Refused,
)
from messageflow.publisher.stand_in import find_stand_in
from messageflow.testing import FlowRecorder, Recorded

REAL = "http://127.0.0.1:9"


@pytest.fixture
def recorder() -> Iterator[FlowRecorder]:
    with FlowRecorder().recording() as recorder:
        yield recorder
    assert find_stand_in() is None


@pytest.mark.parametrize("flow", [Flow(), Flow(REAL), Flow("redis://127.0.0.1:9")], ids=repr)
def test_every_way_to_publish_is_recorded_in_order(recorder: FlowRecorder, flow: Flow) -> None:
    receipt = flow.push("alice", "report/ready", {"id": 7})
    assert (receipt.channel, receipt.offset, receipt.ack) == ("#alice", 1, "memory")
    flow.broadcast("news", [1])
    flow.publish("rooms:blue", "hello", tags={"lang": "en"})
    flow.later.push("bob", "later")
    with flow.transaction():
        flow.push("carl", "together")
        with flow.batch() as batch:
            batch.push("dora", "together")
    assert [str(each) for each in recorder] == [
        "push('alice', 'report/ready', {'id': 7})",
        "broadcast('news', [1])",
        "publish('rooms:blue', 'hello')",
        "push('bob', 'later', None)",
        "push('carl', 'together', None)",
        "push('dora', 'together', None)",
    ]
    assert recorder.to("alice").of("report/ready").one().payload == {"id": 7}
    assert recorder.broadcasts.payloads == [[1]]
    assert recorder.channel("rooms:blue").one() == Recorded("rooms:blue", None, None, None, "hello", {"lang": "en"})
    recorder.to("eve").none()


def test_other_threads_and_event_loops_are_recorded_too(recorder: FlowRecorder) -> None:
    async def push() -> None:
        flow = AsyncFlow(REAL)
        await flow.push("alice", "awaited")
        flow.later.push("alice", "later")

    thread = threading.Thread(target=lambda: asyncio.run(push()))
    thread.start()
    thread.join()
    assert [each.type for each in recorder.to("alice")] == ["awaited", "later"]


def test_what_a_gateway_refuses_is_refused(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    with pytest.raises(PayloadTooLarge, match="over the limit"):
        flow.push("alice", "t", "x" * 100_000)
    with pytest.raises(PayloadTooLarge):
        flow.later.push("alice", "t", "x" * 100_000)
    with pytest.raises(EncodingError):
        flow.push("alice", "t", object())
    with pytest.raises(ValueError, match="everyone"):
        flow.push("*", "t")
    with pytest.raises(Refused, match="printable ASCII"):
        flow.publish("no spaces", 1)
    recorder.none()


def test_namespaces_are_those_of_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "messageflow.toml"
    config.write_text('payload_size_limit = 2048\n[[channel.namespaces]]\nname = "rooms"\n')
    with FlowRecorder(config).recording() as recorder:
        flow = Flow(REAL)
        flow.publish("rooms:blue", 1)
        with pytest.raises(Refused, match="no namespace 'romos'"):
            flow.publish("romos:blue", 1)
        with pytest.raises(PayloadTooLarge):
            flow.publish("rooms:blue", "x" * 3000)
        recorder.one()


def test_what_is_repeated_with_one_key_is_recorded_once(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    assert len({flow.push("alice", "t", idempotency_key="once").offset for _ in range(2)}) == 1
    recorder.one()


def test_what_is_asked_is_answered_and_what_is_done_is_recorded(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    flow.push("alice", "t")
    assert flow.history("#alice").offset == flow.position("alice")["#alice"]["offset"] == 1
    assert (flow.online("alice"), flow.channels(), len(flow.info())) == (False, {}, 1)
    flow.disconnect("alice")
    flow.revoke("bob", token="jti")
    assert [call.method for call in recorder.calls] == ["disconnect", "revoke"]
    assert recorder.calls[1].parameters["token"] == "jti"
    assert flow.token("alice").count(".") == 2
    recorder.one()
    recorder.clear()
    assert (list(recorder), recorder.calls, flow.history("#alice").offset) == ([], [], 0)


def test_a_gateway_can_be_away(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    with recorder.away():
        with pytest.raises(GatewayUnreachable):
            flow.push("alice", "t")
        flow.later.push("alice", "t")
    flow.push("alice", "t")
    recorder.one()


def test_what_is_missing_is_said_with_what_was_recorded(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    with pytest.raises(AssertionError, match="recorded was: nothing"):
        recorder.one()
    for number in range(12):
        flow.push("alice", "report/raedy", {"id": number})
    with pytest.raises(AssertionError) as raised:
        recorder.to("alice").of("report/ready").one()
    first, second, *_, last = str(raised.value).splitlines()
    assert first == "one was expected to 'alice' of 'report/ready', there are 0; recorded was:"
    assert second == "  push('alice', 'report/raedy', {'id': 0})"
    assert last == "  and 2 more"
    with pytest.raises(AssertionError, match="none was expected to 'alice', there are 12"):
        recorder.to("alice").none()


def test_recorders_nest(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    with FlowRecorder().recording() as inner:
        flow.push("alice", "inner")
    flow.push("alice", "outer")
    assert (inner.one().type, recorder.one().type) == ("inner", "outer")


class ReportReady(Message):
    id: int


def test_typed_messages_are_found_by_their_class_and_read(recorder: FlowRecorder) -> None:
    flow = Flow(REAL)
    flow.push("alice", ReportReady(7))
    flow.broadcast("report/ready", {"id": 8})
    flow.later.push("bob", ReportReady(9))
    asyncio.run(AsyncFlow(REAL).push("carl", ReportReady(10)))
    with flow.transaction(), flow.batch() as batch:
        batch.push("dora", ReportReady(11))
    flow.publish("rooms:blue", ReportReady(12))
    assert recorder.of(ReportReady).payloads == [ReportReady(id) for id in range(7, 12)]
    assert recorder.to("alice").of(ReportReady).one().payload == ReportReady(7)
    assert recorder.to("alice").of("report/ready").one().payload == {"id": 7}
    assert recorder.channel("rooms:blue").one().data == {"type": "report/ready", "payload": {"id": 12}}
    with pytest.raises(
        AssertionError, match=r"one was expected to 'eve' of ReportReady \('report/ready'\), there are 0"
    ):
        recorder.to("eve").of(ReportReady).one()
    with pytest.raises(InvalidMessage, match=r"ReportReady\.id"):
        flow.push("alice", ReportReady("7"))  # type: ignore[arg-type]
    assert len(recorder.to("alice")) == 1
