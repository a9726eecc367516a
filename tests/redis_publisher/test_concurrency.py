"""Threads, forks, greenlets and event loops: each call has a connection of its own, and none is left in the way."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from messageflow import AsyncFlow, ConfigurationError, Flow
from messageflow.client_io import asyncio_io
from messageflow.client_io.kernel import run_now
from messageflow.client_io.pool import CONNECTIONS
from tests.brokers.redis.servers import Server, wait_until
from tests.publisher.programs import FORKED_IN_C, FORKED_IN_C_TO_AWAIT, GREENLETS, run

LATE = """
import sys
from messageflow import Flow
flow = Flow(sys.argv[1])
from gevent import monkey
monkey.patch_all()
import gevent

jobs = [gevent.spawn(flow.push, "alice", "t") for _ in range(5)]
gevent.joinall(jobs, raise_error=True, timeout=20)
print(len(jobs))
"""

KILLED = """
import os, signal, sys
from gevent import monkey
monkey.patch_all()
import gevent
from messageflow import Flow

flow = Flow(sys.argv[1])
flow.push("alice", "t")
server = int(sys.argv[2])
os.kill(server, signal.SIGSTOP)
with gevent.Timeout(0.2, False):
    flow.push("bob", "cut off")
os.kill(server, signal.SIGCONT)
print(flow.push("alice", "t").channel)
"""

FORKED = """
import os, sys
from messageflow import Flow

flow = Flow(sys.argv[1])
flow.push("alice", "t")
child = os.fork()
for _ in range(50):
    flow.push("alice", "t")
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def clients(server: Server) -> int:
    """How many connections there are, but for the one that asks."""
    with server.client() as client:
        return len(client.client_list()) - 1


def test_threads_push_at_the_same_time(ruled: Server) -> None:
    flow = Flow(ruled.url)
    with ThreadPoolExecutor(20) as pool:
        receipts = list(pool.map(lambda number: flow.push("alice", "t", number), range(400)))
    assert sorted(receipt.offset for receipt in receipts) == list(range(1, 401))
    assert 1 <= clients(ruled) <= 20


def test_more_threads_than_connections_wait_for_one(ruled: Server) -> None:
    flow = Flow(ruled.url)
    together = threading.Barrier(CONNECTIONS + 20)

    def push(_: int) -> int:
        together.wait(20)
        return flow.push("alice", "t").offset

    with ThreadPoolExecutor(CONNECTIONS + 20) as pool:
        offsets = list(pool.map(push, range(CONNECTIONS + 20)))
    assert sorted(offsets) == list(range(1, CONNECTIONS + 21))
    assert clients(ruled) <= CONNECTIONS


def test_all_flows_of_a_process_share_their_connections(ruled: Server) -> None:
    for _ in range(20):
        Flow(ruled.url).push("alice", "t")
    assert clients(ruled) == 1


def test_a_closed_flow_lets_go_and_opens_new_connections(ruled: Server) -> None:
    with Flow(ruled.url) as flow:
        flow.push("alice", "t")
    wait_until(lambda: clients(ruled) == 0)
    assert flow.push("alice", "t").offset == 2


def test_a_forked_child_has_connections_of_its_own(ruled: Server) -> None:
    assert run(FORKED, ruled.url, warnings="default") == "0"
    assert Flow(ruled.url).history("#alice").offset == 101


@pytest.mark.parametrize("program", [FORKED_IN_C, FORKED_IN_C_TO_AWAIT], ids=["Flow", "AsyncFlow"])
def test_children_that_no_hook_announced_get_their_own_replies(ruled: Server, program: str) -> None:
    assert run(program, ruled.url) == "[0, 0, 0] 6"


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_worker_that_was_forked_while_threads_push(ruled: Server) -> None:
    """As a Celery or a gunicorn worker is: the parent may be anywhere in a call."""
    flow = Flow(ruled.url)
    over = threading.Event()

    def push() -> None:
        while not over.is_set():
            flow.push("alice", "t")

    threads = [threading.Thread(target=push) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                os._exit(0 if [flow.push("bob", "t").channel for _ in range(5)] == ["#bob"] * 5 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
    assert flow.history("#bob").offset == 25


def test_greenlets_push_at_the_same_time(ruled: Server) -> None:
    with ruled.client() as client:
        client.client_pause(3_000, all=False)  # else a reply may be there before anybody waits for it
    assert run(GREENLETS, ruled.url, warnings="ignore") == "100 True"


def test_patching_after_the_flow_was_made_works_too(ruled: Server) -> None:
    assert run(LATE, ruled.url, warnings="ignore") == "5"


def test_a_greenlet_that_is_cut_off_leaves_no_reply_behind(ruled: Server) -> None:
    assert run(KILLED, ruled.url, ruled.process.pid, warnings="ignore") == "#alice"


async def test_tasks_push_at_the_same_time(ruled: Server) -> None:
    async with AsyncFlow(ruled.url) as flow:
        receipts = await asyncio.gather(*(flow.push("alice", "t", number) for number in range(300)))
        assert sorted(receipt.offset for receipt in receipts) == list(range(1, 301))
        assert clients(ruled) <= CONNECTIONS
    await asyncio.to_thread(wait_until, lambda: clients(ruled) == 0)


async def test_a_cancelled_call_closes_its_connection(ruled: Server) -> None:
    async with AsyncFlow(ruled.url) as flow:
        await flow.push("alice", "t")
        with ruled.client() as client:
            client.client_pause(400)
            task = asyncio.create_task(flow.push("bob", "t"))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await flow.push("alice", "t")).channel == "#alice"
        await asyncio.to_thread(wait_until, lambda: clients(ruled) == 1)


def test_each_event_loop_has_its_own_connections(ruled: Server) -> None:
    flow = AsyncFlow(ruled.url)

    async def push() -> int:
        async with flow:
            return (await flow.push("alice", "t")).offset

    assert [asyncio.run(push()) for _ in range(3)] == [1, 2, 3]
    assert len([loop for loop in asyncio_io._loops.table() if not loop.is_closed()]) == 0


def test_a_coroutine_that_waits_is_no_work_for_the_blocking_edge() -> None:
    with pytest.raises(RuntimeError, match="waited for an event loop"):
        run_now(asyncio.sleep(0))


def test_importing_messageflow_loads_no_library_of_redis() -> None:
    program = "import messageflow, sys\nfrom messageflow import Flow, AsyncFlow\nFlow('http://gateway')"
    listing = run(f"{program}\nprint(*[name for name in sys.modules if name in ('redis', 'hiredis')])")
    assert listing == ""


@pytest.mark.parametrize("missing", ["redis", "hiredis"])
def test_without_the_library_a_sentence_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"""
import sys
sys.modules["{missing}"] = None
from messageflow import ConfigurationError, Flow
try:
    Flow("redis://127.0.0.1")
except ConfigurationError as error:
    print(error)
"""
    assert run(program) == (
        f"pushing through Redis needs the library {missing}, which is not installed: "
        "pip install 'messageflow-push[redis]'"
    )


def test_a_token_needs_no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("redis://127.0.0.1:1", token_secret="s" * 32)
    assert flow.token("alice").count(".") == 2
    with pytest.raises(ConfigurationError, match="MESSAGEFLOW_TOKEN_SECRET"):
        Flow("redis://127.0.0.1:1").token("alice")
