"""What a flow says when Redis is away, frozen, full or not ours: that nothing was stored, or that nobody knows."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from messageflow import ConfigurationError, Flow, GatewayUnreachable, NotStored, OutcomeUnknown, Unauthorized
from messageflow.errors import PublishError
from messageflow.redis_publisher import client as redis_client
from tests.brokers.redis.servers import Server, wait_until
from tests.ports import free_port
from tests.redis_publisher.conftest import Flows, leave_rules

PASSWORD = "a-secret-p%40ss"


def length(server: Server, channel: str = "messageflow:{I2FsaWNl}:log") -> int:
    """How many publications of `#alice` there are."""
    with server.client() as client:
        return int(client.xlen(channel))


def test_nobody_listening_stores_nothing_and_says_so(flows: Flows) -> None:
    flow = flows.make(f"redis://127.0.0.1:{free_port()}", timeout=0.5)
    with pytest.raises(GatewayUnreachable, match=r"no Redis answers at redis://127\.0\.0\.1:\d+: start it"):
        flows.call(flow, "push", "alice", "t")


def test_a_redis_that_comes_back_in_time_gets_the_push(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 1)
    ruled.stop()
    back = threading.Timer(0.3, ruled.start)
    back.start()
    receipt = flows.call(flow, "push", "alice", "t", 2)
    back.join()
    assert receipt.offset == 1  # it had nothing on disk


def test_a_connection_that_redis_closed_is_made_anew(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 1)
    with ruled.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert flows.call(flow, "push", "alice", "t", 2).offset == 2


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


def test_a_frozen_redis_leaves_the_outcome_unknown_and_the_key_settles_it(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 0)
    with frozen(ruled), pytest.raises(OutcomeUnknown, match="no answer from the Redis at"):
        flows.call(flows.make(ruled.url, timeout=0.5), "push", "alice", "t", 1, idempotency_key="k")
    assert flows.call(flow, "push", "alice", "t", 1, idempotency_key="k").offset == 2
    assert length(ruled) == 2


def test_an_answer_that_was_lost_is_asked_for_again_and_one_copy_is_stored(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url, timeout=4)  # two seconds for the first attempt
    flows.call(flow, "push", "alice", "t", 0)
    awake = threading.Timer(2.3, ruled.signal, (signal.SIGCONT,))
    with frozen(ruled):
        awake.start()
        assert flows.call(flow, "push", "alice", "t", 1).offset == 2
    awake.join()
    assert flows.call(flow, "push", "alice", "t", 2).offset == 3
    assert length(ruled) == 3


def test_a_redis_that_was_frozen_from_the_start_got_nothing(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url, timeout=0.4)
    with frozen(ruled), pytest.raises(GatewayUnreachable, match="nothing was stored"):
        flows.call(flow, "push", "alice", "t", 1)


def test_a_late_reply_is_nobody_elses(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 0)
    with frozen(ruled), pytest.raises(OutcomeUnknown):
        flows.call(flows.make(ruled.url, timeout=0.3), "push", "bob", "t", 1)
    assert flows.call(flow, "push", "alice", "t", 1).channel == "#alice"
    assert flows.call(flow, "history", "#alice").offset == 2


def test_a_full_redis_stores_nothing_and_says_so(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 0)
    with ruled.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(NotStored, match=r"^the Redis at redis://127\.0\.0\.1:\d+ did not store it: .*OOM"):
            flows.call(flow, "push", "alice", "t", 1)
        client.config_set("maxmemory", 0)
    assert length(ruled) == 1
    assert flows.call(flow, "push", "alice", "t", 1).offset == 2


def is_busy(client: Redis) -> bool:
    try:
        client.ping()
    except ResponseError:
        return True
    return False


def test_a_redis_that_is_busy_with_another_script_is_asked_again(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 0)
    with ruled.client() as client, ruled.client() as other:
        client.config_set("busy-reply-threshold", 1)

        def spin() -> None:
            with contextlib.suppress(ResponseError):
                other.eval("while true do end", 0)

        with ThreadPoolExecutor(1) as endless:
            endless.submit(spin)
            wait_until(lambda: is_busy(client))  # to whom it says so once
            killing = threading.Timer(1.0, lambda: wait_until(client.script_kill))
            killing.start()
            assert flows.call(flows.make(ruled.url, timeout=20), "push", "alice", "t", 1).offset == 2
            killing.join()
        assert client.info("errorstats")["errorstat_BUSY"]["count"] > 1


def test_a_batch_that_a_full_redis_refuses_can_be_sent_again(ruled: Server) -> None:
    flow = Flow(ruled.url)
    flow.push("alice", "t", 0)
    batch = flow.batch()
    for number in range(500):
        batch.push("alice", "t", number)
    with ruled.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(NotStored):
            batch.send()
        client.config_set("maxmemory", 0)
    batch.send()
    assert [receipt.offset for receipt in batch.receipts if receipt] == list(range(2, 502))


def test_a_replica_stores_nothing_and_says_so(ruled: Server, flows: Flows) -> None:
    flow = flows.make(ruled.url)
    with ruled.client() as client:
        client.replicaof("127.0.0.1", free_port())
        with pytest.raises(NotStored, match="READONLY"):
            flows.call(flow, "push", "alice", "t", 1)
        client.replicaof("NO", "ONE")
    assert flows.call(flow, "push", "alice", "t", 1).offset == 1


def test_a_redis_without_rules_keeps_nothing(own_server: Server, flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flows.make(own_server.url, prefix="mine")
    with pytest.raises(GatewayUnreachable, match=r"with the prefix 'mine' yet.*messageflow serve --broker"):
        flows.call(flow, "push", "alice", "t", 1)
    with own_server.client() as client:
        assert client.dbsize() == 0
    leave_rules(own_server)
    with pytest.raises(GatewayUnreachable):
        flows.call(flow, "push", "alice", "t", 1)
    leave_rules(own_server, "mine")
    assert flows.call(flow, "push", "alice", "t", 1).offset == 1
    monkeypatch.setenv("MESSAGEFLOW_BROKER_PREFIX", "mine")
    assert flows.call(flows.make(own_server.url), "push", "alice", "t", 1).offset == 2


def test_rules_that_were_flushed_are_remembered(ruled: Server, flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flows.make(ruled.url)
    flows.call(flow, "push", "alice", "t", 1)
    monkeypatch.setattr(redis_client, "LOOK_EVERY", 0.0)
    with ruled.client() as client:
        client.flushall()
    assert flows.call(flow, "push", "alice", "t", 1).offset == 1
    with ruled.client() as client:
        assert not client.exists("messageflow:rules")


def test_rules_that_changed_are_seen(ruled: Server, flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "LOOK_EVERY", 0.0)
    flow = flows.make(ruled.url)
    flows.call(flow, "publish", "seen:x", 1)
    with ruled.client() as client:
        client.set("messageflow:rules", (client.get("messageflow:rules") or b"").replace(b'"seen":', b'"other":'))
    with pytest.raises(PublishError, match="the call was refused with error 102"):
        flows.call(flow, "publish", "seen:x", 1)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"{}", b"\xff"])
def test_rules_that_are_none_are_a_sentence(own_server: Server, garbage: bytes) -> None:
    with own_server.client() as client:
        client.set("messageflow:rules", garbage)
    with pytest.raises(GatewayUnreachable, match="rules cannot be understood"):
        Flow(own_server.url).push("alice", "t")


def test_a_password_is_asked_for_and_never_shown(tmp_path: Path, flows: Flows) -> None:
    server = Server(tmp_path, password="right")
    try:
        leave_rules(server)
        assert flows.call(flows.make(server.url), "push", "alice", "t").offset == 1
        for login in (f"user:{PASSWORD}@", f":{PASSWORD}@", ""):
            flow = flows.make(f"redis://{login}127.0.0.1:{server.port}/0?client_name=x")
            with pytest.raises(Unauthorized, match="does not accept the user and password") as raised:
                flows.call(flow, "push", "alice", "t")
            shown = f"{raised.value} {raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r} {flow!r}"
            assert "a-secret" not in f"{shown} {flow.url} {vars(flow)['_found']!r}"
    finally:
        server.stop()


def test_a_user_who_may_do_little_is_told(ruled: Server) -> None:
    ruled.allow("little", "on", ">x", "~*", "+get")
    with pytest.raises(PublishError, match=r"Redis refuses: .*(?i:evalsha)"):
        Flow(ruled.url_for("little", "x")).push("alice", "t")


def test_what_is_no_redis_is_told_apart(flows: Flows) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def greet() -> None:
            for _ in range(20):
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        flow = flows.make(f"redis://127.0.0.1:{listener.getsockname()[1]}", timeout=3)
        with pytest.raises(GatewayUnreachable, match="does not speak the protocol"):
            flows.call(flow, "push", "alice", "t")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("timeout", [0.3, 1.0])
def test_no_call_takes_longer_than_its_timeout_allows(ruled: Server, flows: Flows, timeout: float) -> None:
    flow = flows.make(ruled.url, timeout=timeout)
    flows.call(flows.make(ruled.url), "push", "alice", "t")
    with frozen(ruled):
        start = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            flows.call(flow, "push", "alice", "t")
        assert time.monotonic() - start < timeout + 5  # five seconds are those of a machine that is busy


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://127.0.0.1",
        "redis://127.0.0.1:port",
        "redis://user:a-secret@[x",
        "redis+nothing://user:a-secret@host",
        "redis://127.0.0.1 http://127.0.0.1",
    ],
)
def test_an_address_that_is_none_is_refused_at_once_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Flow(url)
    assert "a-secret" not in str(raised.value)


def test_a_prefix_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="cannot be a prefix"):
        Flow("redis://127.0.0.1", prefix="a{b}")


def leaked(flow: Any) -> str:
    return f"{flow!r} {flow.url}"


def test_nothing_shown_of_a_flow_has_its_password(flows: Flows) -> None:
    for url in ("redis+sentinel://u:a-secret@one,two/service", "rediss://:a-secret@h:1/2 rediss://:a-secret@i:1/2"):
        assert "a-secret" not in leaked(flows.make(url))
