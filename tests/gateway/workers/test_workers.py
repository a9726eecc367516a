"""Several worker processes behave as one gateway, and any of them may die."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from messageflow import Flow
from messageflow.api.answers import TransportFigures
from tests.ports import free_port
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

SECONDS = 15.0
ENDING_SECONDS = 50.0  # six starts one after the other, on a machine that does much else


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with running(("serve", "--workers", "2"), tmp_path) as started:
        yield started


def flow_for(gateway: Running) -> Flow:
    return Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


def workers(gateway: Running) -> dict[int, int]:
    """The worker processes by their number, as the log has them."""
    return {int(str(e["number"])): int(str(e["pid"])) for e in gateway.events("worker_ready")}


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


async def connected(gateway: Running, count: int) -> list[Client]:
    """Clients at either worker in turn: while one is halted, the other takes who comes."""
    clients = [Client(gateway, f"user-{number}") for number in range(count)]
    first, second = (workers(gateway)[number] for number in (1, 2))
    for idle, coming in ((second, clients[::2]), (first, clients[1::2])):
        with halted(idle):
            for client in coming:
                await client.connect()
    return clients


@contextmanager
def halted(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return str(answer.read().decode())


async def test_a_push_at_any_worker_reaches_a_client_at_any(gateway: Running) -> None:
    clients = await connected(gateway, 12)
    for number in range(8):
        with flow_for(gateway) as flow:  # a connection of its own, at either worker
            for client in clients:
                flow.push(client.channel[1:], "n", number)
    for client in clients:
        await client.listen(8)
        assert client.seen == list(range(8))
        await client.link.close()


async def test_what_is_asked_of_one_worker_is_answered_for_all(gateway: Running) -> None:
    clients = await connected(gateway, 12)
    with flow_for(gateway) as flow:
        nodes = flow.info()
        assert [node.num_clients for node in nodes] == [6, 6]
        assert [node.transports for node in nodes] == [(TransportFigures("websocket", "native", 6),)] * 2
        assert flow.channels() == {"*": 12} | {f"#user-{number}": 1 for number in range(12)}
        assert flow.online("user-3")
        assert not flow.online("user-99")
        flow.disconnect("user-3")
    metrics = fetch(f"{gateway.url}/metrics")
    sessions = [line for line in metrics.splitlines() if line.startswith("messageflow_sessions{")]
    assert [line.partition(" ")[0] for line in sessions] == [
        'messageflow_sessions{worker="1"}',
        'messageflow_sessions{worker="2"}',
    ]
    assert 'messageflow_broker_streams{worker="parent"}' in metrics
    assert metrics.count('messageflow_sessions_by_transport{dialect="native",transport="websocket",worker="') == 2
    for client in clients:
        await client.link.close()


async def test_killing_a_worker_loses_nothing_and_another_takes_its_place(gateway: Running) -> None:
    clients = await connected(gateway, 12)
    victim = workers(gateway)[1]
    with flow_for(gateway) as flow:
        for number in range(40):
            if number == 20:
                os.kill(victim, signal.SIGKILL)
            for client in clients:
                flow.push(client.channel[1:], "n", number)
    for client in clients[::2]:  # those at the worker that was killed
        with pytest.raises(ConnectionClosed):
            await client.listen(40)
        found = await client.connect()
        assert found["recovered"], found
    for client in clients:
        await client.listen(40)
        assert client.seen == list(range(40))
        await client.link.close()
    wait_until(lambda: workers(gateway)[1] != victim)
    died = gateway.events("worker_died")
    assert [(each["number"], each["why"]) for each in died] == [(1, "SIGKILL")]


async def test_everything_outlives_the_parent_too(tmp_path: Path) -> None:
    with running(("serve", "--workers", "2"), tmp_path, port=free_port()) as first:
        (client,) = await connected(first, 1)
        pids = workers(first).values()
        with flow_for(first) as flow:
            flow.push("user-0", "n", 0)
        await client.listen(1)
        first.kill()
        wait_until(lambda: not any(map(is_alive, pids)))  # and its workers end with it
        assert first.events("parent_gone")
    with running(("serve", "--workers", "2"), tmp_path, port=first.port) as second:
        with flow_for(second) as flow:
            flow.push("user-0", "n", 1)
        assert (await client.connect())["recovered"]
        await client.listen(2)
        assert client.seen == [0, 1]
        await client.link.close()


def test_a_signal_ends_all_of_them(tmp_path: Path) -> None:
    with running(("serve", "--workers", "3"), tmp_path) as started:
        pids = list(workers(started).values())
        assert len(pids) == 3
        assert started.terminate() == 0
        assert not any(map(is_alive, pids))
        started.release()
    assert {record.get("worker") for record in started.events("drained")} == {1, 2, 3}
    assert "Traceback" not in "".join(started.lines)


def test_a_worker_frozen_for_a_while_is_not_missed(gateway: Running) -> None:
    frozen = workers(gateway)[2]
    with halted(frozen), flow_for(gateway) as flow:
        for number in range(50):
            assert flow.push("somebody", "n", number).offset == number + 1
    assert is_alive(frozen)
    assert not gateway.events("worker_died")


LATE = """
import time
from messageflow import Flow

flow = Flow()

def app(environ, start_response):
    open("begun", "w").close()
    time.sleep(1)
    receipt = flow.push("alice", "late", None)
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"stored at %d" % receipt.offset]
"""
APPLICATION = """
import os
from messageflow import Flow

flow = Flow()

def app(environ, start_response):
    flow.push("user-0", "n", os.getpid())
    start_response("200 OK", [("content-type", "text/plain"), ("connection", "close")])
    return [b"pushed"]
"""


def test_a_second_signal_waits_for_no_request(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n\ndef app(environ, start_response):\n    open('begun', 'w').close()\n    time.sleep(25)\n"
    )
    with running(("run", "slow:app"), tmp_path / "data", cwd=tmp_path) as started:
        client = subprocess.Popen(["python3", "-c", f"import urllib.request as u; u.urlopen('{started.url}')"])
        wait_until((tmp_path / "begun").exists)
        began = time.monotonic()
        started.process.terminate()
        time.sleep(0.5)
        started.process.terminate()
        started.process.wait(SECONDS)
        assert time.monotonic() - began < 10
        client.kill()
        client.wait()


def test_a_request_under_way_may_push_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE)
    with running(("run", "late:app"), tmp_path / "data", cwd=tmp_path) as started:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(fetch(started.url)))
        asking.start()
        wait_until((tmp_path / "begun").exists)
        assert started.terminate() == 0
        asking.join()
    assert answers == ["stored at 1"]


async def test_an_application_runs_in_every_worker_and_pushes_to_all(tmp_path: Path) -> None:
    (tmp_path / "pushing.py").write_text(APPLICATION)
    with running(("run", "pushing:app", "--workers", "2"), tmp_path / "data", cwd=tmp_path) as started:
        (client,) = await connected(started, 1)
        asked = 0
        while set(client.seen) != set(workers(started).values()):  # which of them accepts is the kernel's to say
            answers = await asyncio.gather(*(asyncio.to_thread(fetch, started.url) for _ in range(8)))
            assert answers == ["pushed"] * 8
            asked += 8
            await client.listen(asked)
            assert asked < 400
        await client.link.close()


def messageflow(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "messageflow.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDING_SECONDS,
        env={**os.environ, **environment},
    )


def test_what_cannot_start_says_so_and_ends(gateway: Running, tmp_path: Path) -> None:
    flags = ("--workers", "2", "--port", "0", "--data-dir", str(tmp_path), "--dev")
    second = messageflow("serve", *flags)
    assert second.returncode == 1
    assert "in use by another gateway" in second.stderr


def test_workers_that_do_not_start_end_the_start(tmp_path: Path) -> None:
    flags = ("--workers", "2", "--port", "0", "--data-dir", str(tmp_path), "--dev")
    (tmp_path / "broken.py").write_text("raise RuntimeError('as a test wants it')")
    done = messageflow("run", "broken:app", *flags, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "as a test wants it" in done.stderr
    assert "the workers do not start" in done.stderr


def test_a_worker_is_not_started_by_hand() -> None:
    done = messageflow("worker")
    assert done.returncode == 1
    assert "use `messageflow serve --workers N`" in done.stderr


async def test_a_temporary_directory_with_a_long_path_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (long := tmp_path / ("long" * 30)).mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with running(("serve", "--workers", "2"), tmp_path) as started:
        (client,) = await connected(started, 1)
        await client.link.close()


async def test_a_worker_that_dies_after_a_cleaner_came_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tempfile.mkdtemp(prefix="m-", dir="/tmp")  # a path that sockets can have
    monkeypatch.setenv("TMPDIR", temporary)
    with running(("serve", "--workers", "2"), tmp_path) as started:
        victim = workers(started)[1]
        assert os.listdir(temporary)
        shutil.rmtree(temporary)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: workers(started)[1] != victim)
        for client in await connected(started, 2):  # at either
            await client.link.close()
