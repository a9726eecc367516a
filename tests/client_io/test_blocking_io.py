"""Connections over blocking I/O: kept, replaced when stale, never shared between threads or processes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from messageflow import Flow
from messageflow.client_io.blocking_io import BLOCKING
from messageflow.client_io.http1 import parse_url
from messageflow.client_io.http_client import HttpClient
from messageflow.client_io.kernel import run_now
from messageflow.client_io.outcome import NoResponse, Response
from tests.client_io.children import in_child
from tests.ports import free_port
from tests.publisher.scripted import RECEIPT, ScriptedServer, Silence, raw, result, say


def ask(client: HttpClient, seconds: float = 5.0) -> Response | NoResponse:
    return run_now(client.exchange("push", b'{"idempotency_key":"k"}', time.monotonic() + seconds))


def client_of(url: str) -> object:
    return BLOCKING.get_client(parse_url(url), HttpClient)


def test_client_is_one_for_an_address() -> None:
    assert client_of("http://gateway") is client_of("http://gateway:80/")
    assert client_of("http://gateway") is not client_of("http://gateway:81")


def test_connections_cut_while_idle_are_replaced_unnoticed(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    for _ in range(3):
        flow.push("alice", "t")
        server.cut()
    assert [request.connection for request in server.requests] == [1, 2, 3]
    assert len(set(server.keys)) == 3


def test_bytes_nobody_asked_for_end_the_connection(server: ScriptedServer) -> None:
    both_sent = threading.Event()

    def twice(connection: object) -> bool:
        goes_on = answer(connection) and answer(connection)  # type: ignore[arg-type]
        both_sent.set()
        return goes_on

    answer = result(RECEIPT)
    server.script.append(twice)
    flow = Flow(server.url)
    assert flow.push("alice", "t").offset == 7
    assert both_sent.wait(5)
    assert [flow.push("alice", "t").offset for _ in range(2)] == [7, 7]
    assert server.requests[0].connection != server.requests[1].connection


def test_busy_connections_are_not_shared_and_their_number_is_bounded(server: ScriptedServer) -> None:
    client = HttpClient(BLOCKING, parse_url(server.url), size=1)
    silence = Silence(then=result(RECEIPT))
    server.script.append(silence)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, client)
        assert silence.heard.wait(10)
        assert ask(client, 0.05) == NoResponse("all 1 connections are busy")
        silence.released.set()
        assert isinstance(first.result(10), Response)
    assert isinstance(ask(client), Response)
    assert server.connections == 1
    client.close()


def test_32_threads_share_one_flow(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    ready = threading.Barrier(32)

    def work(number: int) -> None:
        ready.wait(10)
        for turn in range(10):
            flow.push(f"user{number}", "t", turn)

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(work, range(32)))
    for number in range(32):
        turns = [request.body["payload"] for request in server.requests if request.body["user"] == f"user{number}"]
        assert turns == list(range(10))
    assert server.connections <= 32


def test_forked_child_opens_its_own_connection(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    flow.push("alice", "t", "parent")
    assert in_child(lambda: flow.push("alice", "t", "child").offset == 7)
    flow.push("alice", "t", "parent again")
    assert [(request.body["payload"], request.connection) for request in server.requests] == [
        ("parent", 1),
        ("child", 2),
        ("parent again", 1),
    ]


def test_forked_child_is_not_stopped_by_a_push_in_flight(server: ScriptedServer) -> None:
    flow = Flow(server.url)
    silence = Silence(then=result(RECEIPT))
    server.script.append(silence)
    with ThreadPoolExecutor(1) as threads:
        in_flight = threads.submit(flow.push, "alice", "t")
        assert silence.heard.wait(10)
        assert in_child(lambda: flow.push("alice", "t").offset == 7)
        silence.released.set()
        assert in_flight.result(10).offset == 7
    assert [request.connection for request in server.requests] == [1, 2]


def test_interrupted_exchange_never_leaves_its_connection_to_the_next(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KeyboardInterrupt, a greenlet's death, a worker's time limit: all come as exceptions from anywhere."""
    flow = Flow(server.url)
    flow.push("alice", "t")
    with monkeypatch.context() as patched:
        patched.setattr("messageflow.client_io.http1.ResponseParser.feed", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            flow.push("alice", "t")
    flow.push("alice", "t")
    assert [request.connection for request in server.requests] == [1, 1, 2]


def _interrupt(_response: object, _data: bytes) -> bool:
    raise KeyboardInterrupt


def test_nobody_listening_is_told_apart_from_silence() -> None:
    failure = ask(HttpClient(BLOCKING, parse_url(f"http://127.0.0.1:{free_port()}")))
    assert isinstance(failure, NoResponse)
    assert (failure.absent, failure.sent) == (True, False)


CUT = raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"result"')


def test_answer_cut_in_the_middle_is_no_answer(server: ScriptedServer) -> None:
    server.script.append(CUT)
    assert ask(HttpClient(BLOCKING, parse_url(server.url)), 30.0) == NoResponse("the connection was closed", sent=True)


def test_answer_cut_in_the_middle_is_asked_for_again_with_the_same_key(server: ScriptedServer) -> None:
    server.script.append(CUT)
    assert Flow(server.url, timeout=60.0).push("alice", "t").offset == 7
    assert [request.connection for request in server.requests] == [1, 2]
    assert len(set(server.keys)) == 1


def test_answer_that_ends_with_the_connection_is_one(server: ScriptedServer) -> None:
    server.script.append(raw(b'HTTP/1.1 200 OK\r\n\r\n{"result":{"offset":3}}'))
    assert Flow(server.url).push("alice", "t").offset == 3


def test_first_line_after_idle_may_be_a_farewell(server: ScriptedServer) -> None:
    """Some servers say 408 on an idle connection before they close it; it belongs to no request."""
    farewell = say(408, b"")

    def step(connection: object) -> bool:
        result(RECEIPT)(connection)  # type: ignore[arg-type]
        farewell(connection)  # type: ignore[arg-type]
        return False

    server.script.append(step)
    flow = Flow(server.url)
    assert [flow.push("alice", "t").offset for _ in range(2)] == [7, 7]
