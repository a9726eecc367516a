"""The short way to a gateway in the same process: from threads, from its own loop, from another loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from threading import Thread
from typing import Any

import msgspec
import pytest

from messageflow import AsyncFlow, Flow, GatewayUnreachable, OutcomeUnknown, PublishError, Refused, Unauthorized
from messageflow.client_io.http1 import parse_url
from messageflow.publisher import inprocess
from tests.publisher.scripted import RECEIPT, ScriptedServer


class Gateway:
    """Answers API calls on an event loop of its own, as the one under `messageflow run` does."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.calls: list[tuple[str, Any]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.silent = False
        self.cancelled = 0
        self._thread = Thread(target=self.loop.run_forever)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        self.calls.append((method, msgspec.json.decode(body)))
        if self.silent:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return self.answers.pop(0) if self.answers else (200, msgspec.json.encode({"result": RECEIPT}))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    gateway.start()
    inprocess.install(gateway.call, gateway.loop)
    yield gateway
    inprocess.uninstall()
    gateway.stop()


def test_thread_pushes_without_a_connection(gateway: Gateway) -> None:
    assert Flow().push("alice", "t", 1, idempotency_key="k").offset == 7
    assert gateway.calls == [("push", {"user": "alice", "type": "t", "payload": 1, "idempotency_key": "k"})]


def test_flow_made_before_the_gateway_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGEFLOW_URL", "http://gateway.invalid")
    flow = Flow()
    gateway = Gateway()
    gateway.start()
    inprocess.install(gateway.call, gateway.loop)
    assert flow.push("alice", "t").offset == 7
    gateway.stop()


OWN = "http://127.0.0.1:8000"


@pytest.mark.parametrize("url", [OWN, "http://localhost:8000", "http://[::1]:8000/", "http://0.0.0.0:8000"])
def test_flow_with_the_gateways_own_address_needs_no_connection(gateway: Gateway, url: str) -> None:
    inprocess.install(gateway.call, gateway.loop, OWN, "its key")
    assert Flow(url, api_key="its key").push("alice", "t").offset == 7
    assert gateway.run(AsyncFlow(url, api_key="its key").push("alice", "t")).offset == 7


def test_flow_with_the_gateways_own_address_fails_at_once_on_its_loop(gateway: Gateway) -> None:
    inprocess.install(gateway.call, gateway.loop, OWN, "its key")

    async def push() -> None:
        Flow(OWN, api_key="its key").push("alice", "t")

    with pytest.raises(PublishError, match="await AsyncFlow"):
        gateway.run(push())


def test_flow_with_the_gateways_own_address_needs_its_key(gateway: Gateway) -> None:
    inprocess.install(gateway.call, gateway.loop, OWN, "its key")
    with pytest.raises(Unauthorized):
        Flow(OWN, api_key="another key").push("alice", "t")
    assert gateway.calls == []


@pytest.mark.parametrize("url", ["https://127.0.0.1:8000", "http://127.0.0.1:8000/other", "http://another:8000"])
def test_what_is_not_quite_the_gateways_address_is_another(gateway: Gateway, url: str) -> None:
    inprocess.install(gateway.call, gateway.loop, OWN, "its key")
    assert inprocess.find_installed_at(parse_url(url), "its key") is None


def test_flow_with_the_address_of_the_expected_gateway_fails_at_once() -> None:
    inprocess.expect(OWN)
    with pytest.raises(GatewayUnreachable, match="not before the gateway serves"):
        Flow("http://localhost:8000", api_key="its key").push("alice", "t")


def test_flow_with_an_address_of_its_own_goes_there(gateway: Gateway, server: ScriptedServer) -> None:
    Flow(server.url).push("alice", "t")
    assert gateway.calls == []
    assert len(server.requests) == 1


def test_waiting_on_the_gateways_own_loop_is_refused(gateway: Gateway) -> None:
    async def handler() -> None:
        Flow().push("alice", "t")

    with pytest.raises(PublishError, match="await AsyncFlow"):
        gateway.run(handler())
    assert gateway.calls == []


def test_async_flow_on_the_gateways_own_loop(gateway: Gateway) -> None:
    assert gateway.run(AsyncFlow().push("alice", "t")).offset == 7


async def test_async_flow_on_another_loop(gateway: Gateway) -> None:
    assert (await AsyncFlow().push("alice", "t")).offset == 7


def test_error_is_the_same_as_over_http(gateway: Gateway) -> None:
    gateway.answers.append((200, b'{"error":{"code":102,"message":"unknown channel"}}'))
    with pytest.raises(Refused, match="102"):
        Flow().publish("news", 1)


def test_gateway_that_is_not_ready_is_asked_again(gateway: Gateway) -> None:
    gateway.answers.append((503, b"{}"))
    assert Flow().push("alice", "t").offset == 7
    first, second = (body["idempotency_key"] for _, body in gateway.calls)
    assert first == second


def test_thread_waits_no_longer_than_its_timeout(gateway: Gateway) -> None:
    gateway.silent = True
    with pytest.raises(OutcomeUnknown, match="this process"):
        Flow(timeout=0.1).push("alice", "t")
    gateway.run(asyncio.sleep(0))
    assert gateway.cancelled == len(gateway.calls)


@pytest.mark.parametrize("own_loop", [True, False])
async def test_task_waits_no_longer_than_its_timeout(gateway: Gateway, own_loop: bool) -> None:
    gateway.silent = True
    push = AsyncFlow(timeout=0.1).push("alice", "t")
    with pytest.raises(OutcomeUnknown):
        await (asyncio.to_thread(gateway.run, push) if own_loop else push)
    await asyncio.to_thread(gateway.run, asyncio.sleep(0))
    assert gateway.cancelled == len(gateway.calls)


def test_fault_of_the_gateway_is_not_hidden(gateway: Gateway) -> None:
    gateway.answers.append("not an answer")  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown, match="it failed with"):
        Flow().push("alice", "t")
    assert len(gateway.calls) == 1


def test_gateway_that_has_stopped_is_unreachable() -> None:
    gateway = Gateway()
    gateway.loop.close()
    inprocess.install(gateway.call, gateway.loop)
    with pytest.raises(GatewayUnreachable, match="stopped"):
        Flow(timeout=0.1).push("alice", "t")


def test_forked_child_has_no_gateway(gateway: Gateway) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if inprocess.find_installed() is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert inprocess.find_installed() is not None


def test_before_the_gateway_serves_a_flow_without_an_address_fails_at_once(gateway: Gateway) -> None:
    inprocess.expect()
    with pytest.raises(GatewayUnreachable, match="not before the gateway serves"):
        Flow().push("alice", "report/ready")
    with pytest.raises(GatewayUnreachable, match="not before the gateway serves"):
        asyncio.run(AsyncFlow().push("alice", "report/ready"))
    with pytest.raises(GatewayUnreachable, match="not before the gateway serves"), Flow().batch() as batch:
        batch.push("alice", "report/ready")
    assert gateway.calls == []
    inprocess.install(gateway.call, gateway.loop)
    assert Flow().push("alice", "report/ready").offset == RECEIPT["offset"]


def test_before_the_gateway_serves_a_flow_with_an_address_goes_there(gateway: Gateway) -> None:
    inprocess.expect()
    with ScriptedServer() as server:
        assert Flow(server.url).push("alice", "report/ready").offset == RECEIPT["offset"]
    assert gateway.calls == []
