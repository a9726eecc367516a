"""A gateway at its limit of open files: browsers are told to come back later, and everything else goes on."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jwt
import pytest
import urllib3
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.gateway.test_api import certificate
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

HARD = 128

HOARDER = '''
import os
import pathlib

held = []


async def app(scope, receive, send):
    """Open all that can be opened, and let go of it when it is told to."""
    if scope["type"] != "http":
        return
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    import threading
    threading.Thread(target=let_go, daemon=True).start()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def let_go():
    import time
    while not os.path.exists("let-go"):
        time.sleep(0.05)
    while held:
        os.close(held.pop())
'''

READER = '''
async def app(scope, receive, send):
    """Answer with what was sent, once it is whole."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
'''


def enter(stack: ExitStack, gateway: Running, user: str) -> ClientConnection:
    connection = stack.enter_context(connect(gateway.websocket, open_timeout=30))
    token = jwt.encode({"sub": user, "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    connection.send(json.dumps({"id": 1, "connect": {"token": token}}))
    assert "connect" in json.loads(connection.recv(timeout=30))
    return connection


@contextmanager
def filled(gateway: Running) -> Iterator[list[InvalidStatus]]:
    """Let users come until twenty in a row were refused; yields the refusals."""
    refused: list[InvalidStatus] = []
    in_a_row = number = 0
    with ExitStack() as stack:
        while in_a_row < 20:
            number += 1
            try:
                enter(stack, gateway, f"user-{number}")
                in_a_row = 0
            except InvalidStatus as refusal:
                refused.append(refusal)
                in_a_row += 1
        yield refused


def push(gateway: Running, user: str, pool: urllib3.PoolManager | None = None, url: str = "") -> int:
    body = json.dumps({"channel": f"#{user}", "data": 1}).encode()
    address = f"{url or gateway.url + '/messageflow'}/api/publish"
    ask = urllib3.request if pool is None else pool.request
    return ask("POST", address, body=body, headers={"X-API-Key": API_KEY}).status


def metric(gateway: Running, name: str) -> float:
    text = urllib3.request("GET", f"{gateway.url}/messageflow/metrics").data.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"messageflow_{name}"))


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_browsers_are_told_to_come_later_and_all_else_goes_on(workers: Sequence[str], tmp_path: Path) -> None:
    with running(["serve", *workers], tmp_path, files=(HARD, HARD)) as gateway, filled(gateway) as refused:
        for refusal in refused:
            assert refusal.response.status_code == 503
            assert 1 <= int(refusal.response.headers["Retry-After"]) <= 5
        for number in range(20):
            assert urllib3.request("GET", f"{gateway.url}/messageflow/health").status == 200
            assert push(gateway, f"user-{number}") == 200
        assert metric(gateway, "refused_files_total") == len(refused)
        wait_until(lambda: gateway.events("open_files_near"))
        assert len(gateway.events("refused_files")) >= 1
        assert "LimitNOFILE" in str(gateway.events("open_files_near")[0]["option"])
    assert gateway.process.returncode == 0


def test_who_leaves_makes_room_for_another_at_once(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        first = enter(stack, gateway, "first")
        stack.enter_context(filled(gateway))
        first.close()
        wait_until(lambda: metric(gateway, "arrivals") == 0)
        enter(stack, gateway, "next")


def test_the_soft_limit_is_raised_to_the_hard_one_in_every_process(tmp_path: Path) -> None:
    with running(["serve", "--workers", "2"], tmp_path, files=(100, 300)) as gateway:
        text = urllib3.request("GET", f"{gateway.url}/messageflow/metrics").data.decode()
    limits = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("process_max_fds{")]
    assert limits == ["300.0", "300.0", "300.0"]


def test_a_limit_that_changes_while_it_runs_is_gone_by(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path, files=(300, 300)) as gateway:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (HARD, HARD))
        wait_until(lambda: gateway.events("open_files_limit_changed"))
        assert metric(gateway, "open_files_limit") == HARD
        with filled(gateway) as refused:  # told so, where they would be cut off
            assert {refusal.response.status_code for refusal in refused} == {503}
            assert push(gateway, "user-1") == 200


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_limit_with_which_nobody_could_be_served_is_told_instead_of_a_start(
    workers: Sequence[str], tmp_path: Path
) -> None:
    with (
        pytest.raises(AssertionError, match="63 files open here, and a gateway needs 64: raise the limit") as told,
        running(["serve", *workers], tmp_path, files=(63, 63)),
    ):
        pass
    assert "Traceback" not in str(told.value)


def test_connections_that_say_nothing_do_not_keep_a_request_out(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        for _ in range(2 * HARD):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
        for _ in range(5):
            assert urllib3.request("GET", f"{gateway.url}/messageflow/health", retries=False).status == 200
            assert push(gateway, "alice") == 200
        assert metric(gateway, "evicted_requests_total") >= HARD
        assert gateway.events("http_crowded")


def test_connections_that_say_nothing_do_not_keep_a_websocket_out(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        for _ in range(2 * HARD):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
        for number in range(20):
            enter(stack, gateway, f"user-{number}")
        assert metric(gateway, "refused_files_total") == 0


def test_connections_that_do_not_begin_tls_do_not_keep_a_request_out(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    arguments = ["serve", "--broker", "memory", "--tls-cert", str(cert), "--tls-key", str(key)]
    with running(arguments, tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        pool = stack.enter_context(urllib3.PoolManager(ca_certs=str(cert), retries=False))
        url = f"https://localhost:{gateway.port}/messageflow"
        for _ in range(2 * HARD):
            stack.enter_context(socket.create_connection(("localhost", gateway.port)))
        for _ in range(5):
            assert pool.request("GET", f"{url}/health", headers={"Connection": "close"}).status == 200
            assert push(gateway, "alice", pool, url) == 200
        text = pool.request("GET", f"{url}/metrics").data.decode()
        evicted = next(line for line in text.splitlines() if line.startswith("messageflow_evicted_requests_total"))
        assert float(evicted.rpartition(" ")[2]) >= HARD
        assert gateway.events("http_crowded")
        assert not gateway.events("open_files_used_up")


def test_requests_that_are_never_whole_do_not_keep_others_from_the_application(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(READER)
    arguments = ["run", "reader:app", "--broker", "memory"]
    with running(arguments, None, cwd=tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        for _ in range(2 * HARD):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            half.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        once = {"Connection": "close"}  # a connection that is kept is idle, and such make room first
        for _ in range(5):
            assert urllib3.request("POST", gateway.url, body=b"whole", headers=once, retries=False).data == b"whole"
            health = urllib3.request("GET", f"{gateway.url}/messageflow/health", headers=once, retries=False)
            assert health.status == 200
            assert push(gateway, "alice") == 200


def test_who_comes_while_the_application_has_all_files_waits_instead_of_being_cut_off(tmp_path: Path) -> None:
    (tmp_path / "hoarder.py").write_text(HOARDER)
    arguments = ["run", "hoarder:app", "--broker", "memory"]
    with running(arguments, None, cwd=tmp_path, files=(HARD, HARD)) as gateway, ExitStack() as stack:
        early = enter(stack, gateway, "early")
        assert urllib3.request("GET", f"{gateway.url}/").status == 200
        wait_until(lambda: gateway.events("open_files_used_up"))
        late: list[ClientConnection] = []
        coming = [threading.Thread(target=lambda: late.append(enter(stack, gateway, "late"))) for _ in range(5)]
        for each in coming:
            each.start()
        (tmp_path / "let-go").touch()
        for each in coming:
            each.join(30)
        assert len(late) == 5
        assert metric(gateway, "accept_pauses_total") == 1
        assert len(gateway.events("open_files_free_again")) == 1
        assert push(gateway, "early") == 200
        assert "push" in json.loads(early.recv(timeout=30))


def test_a_connections_limit_out_of_reach_is_told_at_the_start(tmp_path: Path) -> None:
    arguments = ["serve", "--broker", "memory", "--connections-limit", "1000"]
    with running(arguments, tmp_path, files=(HARD, HARD)) as gateway:
        wait_until(lambda: gateway.events("connections_limit_out_of_reach"))
        [told] = gateway.events("connections_limit_out_of_reach")
        assert told["connections_limit"] == 1000
        assert 50 <= int(str(told["reached"])) < HARD
