"""`flow.later` in processes as applications have them: they fork, run greenlets, and end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.ports import free_port
from tests.publisher.programs import run
from tests.publisher.scripted import ScriptedServer, Silence, hang_up
from tests.waiting import wait_until

FORKED = """
import os, sys
from messageflow import Flow

flow = Flow(sys.argv[1], timeout=0.5)
for number in range(10):
    flow.later.push("alice", "t", f"parent{number}")
child = os.fork()
if child == 0:
    assert flow.later.stats.waiting == flow.later.stats.sent == 0
    flow.later.push("alice", "t", "child")
    sys.exit(not flow.later.flush(20))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert flow.later.flush(20)
assert flow.later.stats.sent == 10
"""

FORKED_IN_C = """
import ctypes, os, sys
from messageflow import Flow

fork = ctypes.PyDLL(None).fork  # as uWSGI forks: without a word to Python
flow = Flow(sys.argv[1])
flow.later.push("alice", "t", "parent")
assert flow.later.flush(20)
child = fork()
if child == 0:
    status = 1
    try:
        flow.later.push("alice", "t", "child")
        status = 0 if flow.later.flush(20) and flow.later.stats.sent == 1 else 2
    finally:
        os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

GREENLETS = """
import sys
from gevent import monkey
monkey.patch_all()
import gevent
from messageflow import Flow

flow = Flow(sys.argv[1])

def work(name):
    for number in range(20):
        flow.later.push("alice", "t", [name, number])
        gevent.sleep(0)

gevent.joinall([gevent.spawn(work, name) for name in range(10)], raise_error=True, timeout=20)
print(flow.later.flush(20), flow.later.stats.sent)
"""

GREENLET_LOOP = """
import sys
from gevent import monkey
monkey.patch_all()
from messageflow import Flow

flow = Flow(sys.argv[1])
for number in range(50):
    flow.later.push("alice", "t", number)  # no greenlet but this one runs meanwhile
"""

ENDING = """
import sys
from messageflow import Flow

flow = Flow(sys.argv[1])
for number in range(50):
    flow.later.push("alice", "t", number)
"""

POOL = """
import sys
from multiprocessing import get_context
from messageflow import Flow

flow = Flow(sys.argv[1])

def work():
    for number in range(50):
        flow.later.push("alice", "t", number)

if __name__ == "__main__":
    process = get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
"""


def test_a_forked_child_sends_its_own_and_the_parent_its_own(server: ScriptedServer) -> None:
    server.script.extend([hang_up] * 3)
    run(FORKED, server.url)
    assert sorted(dict.fromkeys(server.payloads)) == ["child", *(f"parent{number}" for number in range(10))]
    keys = [command["push"]["idempotency_key"] for request in server.requests for command in request.body["commands"]]
    assert len(set(keys)) == 11


def test_a_child_that_was_forked_in_c_has_a_thread_of_its_own(server: ScriptedServer) -> None:
    run(FORKED_IN_C, server.url)
    assert server.payloads == ["parent", "child"]


def test_greenlets_lose_nothing(server: ScriptedServer) -> None:
    assert run(GREENLETS, server.url, warnings="ignore") == "True 200"
    heard = server.payloads
    for name in range(10):
        assert [number for one, number in heard if one == name] == list(range(20))


@pytest.mark.parametrize("program", [ENDING, GREENLET_LOOP, POOL], ids=["thread", "greenlet", "multiprocessing"])
def test_what_waits_is_sent_before_the_process_ends(server: ScriptedServer, program: str) -> None:
    run(program, server.url, warnings="ignore" if program is GREENLET_LOOP else "error")
    assert server.payloads == list(range(50))


def test_a_process_that_is_sent_away_in_the_usual_way_sends_what_waits(server: ScriptedServer) -> None:
    """As gunicorn ends its workers: SIGTERM, upon which they exit."""
    first = Silence()
    server.script.append(first)
    program = f"import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{ENDING}\nsignal.pause()\n"
    process = subprocess.Popen([sys.executable, "-c", f"import sys\n{program}", server.url])
    try:
        assert first.heard.wait(30)
        process.terminate()
        first.released.set()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert list(dict.fromkeys(server.payloads)) == list(range(50))


def test_a_process_says_what_it_lost_at_its_end(server: ScriptedServer) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING, f"http://127.0.0.1:{free_port()}"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert "50 calls of flow.later are lost: no gateway took them before the process ended" in done.stderr
    wait_until(lambda: not server.requests)
