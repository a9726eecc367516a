"""`flow.later`: what a call promises, whether the gateway is there, away, slow, full or says no."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from messageflow import AsyncFlow, EncodingError, Flow, PublishError
from messageflow.client_io.blocking_io import BLOCKING
from messageflow.publisher import inprocess, later_sender
from messageflow.publisher.later_queue import LaterQueue
from messageflow.publisher.later_sender import LaterSender
from tests.ports import free_port
from tests.publisher.conftest import Face
from tests.publisher.scripted import RECEIPT, ScriptedServer, Silence, error, hang_up, say
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later_sender, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(later_sender, "FIRST_PAUSE", 0.01)


def small(flow: Flow | AsyncFlow, **bounds: float) -> LaterSender:
    """Let the calls of a flow wait within other bounds than the usual."""
    sender = LaterSender(flow._make_performer(), LaterQueue(**bounds))  # type: ignore[arg-type]
    later_sender._senders.table()[flow._target] = sender
    return sender


def test_calls_are_sent_in_order_and_return_nothing(face: Face, server: ScriptedServer) -> None:
    flow = face.make(server.url, api_key="key")
    assert flow.later.push("alice", "t", 1, idempotency_key="k") is None
    assert flow.later.broadcast("t", 2) is None
    assert flow.later.publish("news", 3, tags={"a": "b"}, skip_history=True) is None
    assert face.wait(flow.later.flush()) is True
    commands = [command for request in server.requests for command in request.body["commands"]]
    assert commands[0] == {"push": {"user": "alice", "type": "t", "payload": 1, "idempotency_key": "k"}}
    assert [next(iter(command)) for command in commands] == ["push", "broadcast_push", "publish"]
    assert commands[2]["publish"]["tags"] == {"a": "b"}
    assert {request.headers["x-api-key"] for request in server.requests} == {"key"}
    assert flow.later.stats.sent == 3
    face.close(flow)


def test_a_gateway_that_is_away_is_neither_waited_for_nor_raised(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    flow = face.make(f"http://127.0.0.1:{port}")
    for number in range(100):
        flow.later.push("alice", "t", number)
    assert flow.later.stats.waiting == 100
    assert face.wait(flow.later.flush(0.01)) is False
    wait_until(lambda: "calls of flow.later wait: no gateway answers" in caplog.text)


def test_what_waits_is_sent_in_order_once_the_gateway_is_there(server: ScriptedServer) -> None:
    server.script.extend([hang_up] * 20)
    flow = Flow(server.url, timeout=0.1)
    for number in range(50):
        flow.later.push("alice", "t", number)
    assert flow.later.flush(10)
    heard = server.payloads
    assert heard[-1] == 49
    assert list(dict.fromkeys(heard)) == list(range(50))
    commands = [command["push"] for request in server.requests for command in request.body["commands"]]
    assert len({(command["payload"], command["idempotency_key"]) for command in commands}) == 50


def test_everything_that_waits_goes_in_one_request(server: ScriptedServer) -> None:
    slow = Silence(then=say(200, msgspec.json.encode({"replies": [{"push": RECEIPT}]})))
    server.script.append(slow)
    flow = Flow(server.url)
    flow.later.push("alice", "t", 0)
    assert slow.heard.wait(15)
    for number in range(1, 900):
        flow.later.push("alice", "t", number)
    slow.released.set()
    assert flow.later.flush()
    assert [len(request.body["commands"]) for request in server.requests] == [1, 899]
    assert server.payloads == list(range(900))


def test_arguments_that_cannot_be_are_refused_at_once(face: Face) -> None:
    flow = face.make("http://127.0.0.1:9")
    with pytest.raises(EncodingError):
        flow.later.push("alice", "t", object())
    with pytest.raises(ValueError, match=r"broadcast\(\)"):
        flow.later.push("*", "t")
    with pytest.raises(TypeError):
        flow.later.publish(7, "t")
    assert flow.later.stats.waiting == 0


def test_a_payload_is_encoded_as_it_is_called(server: ScriptedServer) -> None:
    payload = {"id": 7}
    flow = Flow(server.url)
    flow.later.push("alice", "t", payload)
    payload["id"] = 8
    assert flow.later.flush()
    assert server.payloads == [{"id": 7}]


def test_the_oldest_are_dropped_and_counted_while_the_gateway_is_away(caplog: pytest.LogCaptureFixture) -> None:
    flow = Flow(f"http://127.0.0.1:{free_port()}")
    sender = small(flow, most_calls=10)
    sender._is_away = True
    for number in range(100):
        flow.later.push("alice", "t", number)
    stats = flow.later.stats
    assert stats.waiting + stats.dropped_full == 100
    assert stats.waiting <= 11  # all ten were under way, and the newest waits
    assert "the oldest are dropped" in caplog.text


def test_a_loop_that_is_faster_than_its_gateway_loses_nothing(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    small(flow, most_calls=10)
    for number in range(500):
        flow.later.push("alice", "t", number)
    assert flow.later.flush(10)
    assert server.payloads == list(range(500))
    assert flow.later.stats.dropped_full == 0


async def test_an_event_loop_is_never_kept_waiting_for_room(server: ScriptedServer) -> None:
    slow = Silence()
    server.script.append(slow)
    flow = Flow(server.url)
    sender = small(flow, most_calls=1)
    waits: list[float | None] = []
    monitored = sender._changed.wait_for
    sender._changed.wait_for = lambda *given: waits.append(threading.get_ident()) or monitored(*given)  # type: ignore[method-assign,func-returns-value]
    for number in range(5):
        flow.later.push("alice", "t", number)
    assert threading.get_ident() not in waits
    assert flow.later.stats.dropped_full >= 3
    slow.released.set()


def test_what_waited_too_long_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    flow = Flow(f"http://127.0.0.1:{free_port()}", timeout=0.05)
    small(flow, most_age=0.01)
    flow.later.push("alice", "t")
    assert flow.later.flush(15)
    assert flow.later.stats.dropped_old == 1
    wait_until(lambda: "waited too long" in caplog.text)


def test_a_call_that_is_refused_holds_up_no_other(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    replies: list[Any] = [{"error": {"code": 102, "message": "unknown channel"}}]
    server.script.append(say(200, msgspec.json.encode({"replies": replies})))
    flow = Flow(server.url)
    flow.later.publish("nowhere", 1)
    assert flow.later.flush()
    flow.later.push("alice", "t")
    assert flow.later.flush()
    assert (flow.later.stats.refused, flow.later.stats.sent) == (1, 1)
    wait_until(lambda: "refused, 1 so far: the call was refused with error 102: unknown channel" in caplog.text)


def test_a_request_that_is_refused_whole_is_cut_until_the_one_at_fault_is_found(server: ScriptedServer) -> None:
    silence = Silence(then=say(200, msgspec.json.encode({"replies": [{"push": RECEIPT}]})))
    server.script.append(silence)
    flow = Flow(server.url)
    flow.later.push("alice", "t", "first")
    assert silence.heard.wait(15)
    for number in range(4):
        flow.later.push("alice", "t", number)
    too_large = error(107, "limit is 10 bytes", 413)
    server.script.extend([too_large, too_large, too_large])
    silence.released.set()
    assert flow.later.flush()
    assert [len(request.body["commands"]) for request in server.requests] == [1, 4, 2, 1, 1, 2]
    assert (flow.later.stats.refused, flow.later.stats.sent) == (1, 4)


@pytest.mark.parametrize(
    "failing", [error(101, "no", 401), say(404, b"nope"), error(100, "no room", 507), say(503, b"")]
)
def test_what_may_be_mended_is_tried_again(server: ScriptedServer, failing: Any) -> None:
    server.script.extend([failing] * 3)
    flow = Flow(server.url, timeout=0.2)
    flow.later.push("alice", "t", 1)
    assert flow.later.flush(15)
    assert flow.later.stats.sent == 1
    assert len(server.requests) >= 2


def test_flows_that_were_told_the_same_share_a_queue_and_a_thread(server: ScriptedServer) -> None:
    for number in range(20):
        Flow(server.url).later.push("alice", "t", number)
    assert Flow(server.url).later.flush()
    assert server.payloads == list(range(20))
    assert Flow(server.url).later.stats.sent == 20
    assert Flow(server.url, api_key="another").later.stats.sent == 0
    assert len([thread for thread in threading.enumerate() if thread is Flow(server.url)._get_sender()._thread]) == 1


def test_a_thread_without_work_ends_and_another_begins(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later_sender, "IDLE_SECONDS", 0.01)
    flow = Flow(server.url)
    for number in range(3):
        flow.later.push("alice", "t", number)
        assert flow.later.flush()
        wait_until(lambda: flow._get_sender()._thread is None)
    assert server.payloads == [0, 1, 2]


def test_many_threads_lose_nothing_and_keep_their_order(server: ScriptedServer) -> None:
    flow = Flow(server.url)

    def work(name: int) -> None:
        for number in range(200):
            flow.later.push("alice", "t", [name, number])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flow.later.flush(10)
    heard = server.payloads
    assert len(heard) == 1600
    for name in range(8):
        assert [number for one, number in heard if one == name] == list(range(200))


def test_a_log_handler_may_push_what_it_hears(caplog: pytest.LogCaptureFixture) -> None:
    """Of what the queue itself has to say, too: it is said without the queue's lock."""
    flow = Flow(f"http://127.0.0.1:{free_port()}")
    small(flow, most_calls=5)._is_away = True

    class Live(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            flow.later.push("admin", "log", record.getMessage())

    handler = Live()
    later_sender.log.addHandler(handler)
    try:
        for number in range(20):
            flow.later.push("alice", "t", number)
    finally:
        later_sender.log.removeHandler(handler)
    assert flow.later.stats.waiting + flow.later.stats.dropped_full >= 20


def test_what_two_threads_have_to_log_is_said_once_and_raises_nowhere(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one may take the last line between a look and a hand."""
    sender = LaterSender(lambda call: [])

    class Taken(deque[Any]):
        def __bool__(self) -> bool:
            return True

    monkeypatch.setattr(sender, "_unsaid", Taken([(logging.WARNING, "once", (), None)]))
    sender._log()
    assert [record.message for record in caplog.records] == ["once"]


def test_a_signal_handler_may_push(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    before = signal.signal(signal.SIGUSR1, lambda *_: flow.later.push("alice", "signal"))
    try:
        with flow._get_sender()._changed:
            os.kill(os.getpid(), signal.SIGUSR1)
            flow.later.push("alice", "t")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert flow.later.flush()
    assert len(server.payloads) == 2


def test_flushing_nothing_is_done_at_once(face: Face) -> None:
    assert face.wait(face.make("http://127.0.0.1:9").later.flush(0)) is True


class InProcessGateway:
    """A gateway on an event loop of this process that takes batches."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.heard: list[Any] = []
        self._thread = threading.Thread(target=self.loop.run_forever)

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        commands = msgspec.json.decode(body)["commands"]
        self.heard += [command["push"]["payload"] for command in commands]
        return 200, msgspec.json.encode({"replies": [{"push": RECEIPT} for _ in commands]})

    def __enter__(self) -> InProcessGateway:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def here() -> Iterator[InProcessGateway]:
    with InProcessGateway() as gateway:
        yield gateway


def test_calls_wait_for_a_gateway_in_this_process_that_serves_soon(here: InProcessGateway) -> None:
    inprocess.expect()
    flow = Flow()
    flow.later.push("alice", "t", 1)
    assert flow.later.flush(0.01) is False
    inprocess.install(here.call, here.loop)
    assert flow.later.flush(10)
    assert here.heard == [1]


def test_on_its_own_loop_the_gateway_is_pushed_to_and_never_waited_for(here: InProcessGateway) -> None:
    inprocess.install(here.call, here.loop)
    flow, to_await = Flow(), AsyncFlow()

    async def handler() -> bool:
        flow.later.push("alice", "t", 1)
        with pytest.raises(PublishError, match="event loop"):
            flow.later.flush()
        return await to_await.later.flush()

    assert asyncio.run_coroutine_threadsafe(handler(), here.loop).result(15)
    assert here.heard == [1]
    assert BLOCKING.blocks
