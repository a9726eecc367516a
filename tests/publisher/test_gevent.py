"""Under gevent, in a process of its own, since patching cannot be undone."""

from __future__ import annotations

from tests.publisher.programs import GREENLETS, run
from tests.publisher.scripted import ScriptedServer

KILLED = """
import sys
from gevent import monkey
monkey.patch_all()
import gevent
from messageflow import Flow

flow = Flow(sys.argv[1])
flow.push("alice", "t")
with gevent.Timeout(0.1, False):
    flow.push("alice", "never answered")
print(flow.push("alice", "t").offset)
"""

FORKED = """
import os, sys
from gevent import monkey
monkey.patch_all()
from messageflow import Flow

flow = Flow(sys.argv[1])
flow.push("alice", "t")
child = os.fork()
flow.push("alice", "t")
if child:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

LATE = """
import sys
from messageflow import Flow
import messageflow.client_io.pool
from gevent import monkey
monkey.patch_all()
import gevent

flow = Flow(sys.argv[1])
jobs = [gevent.spawn(flow.push, "alice", "t") for _ in range(5)]
gevent.joinall(jobs, raise_error=True, timeout=20)
print(len(jobs))
"""


def test_greenlets_push_at_the_same_time(server: ScriptedServer) -> None:
    assert run(GREENLETS, server.url, warnings="ignore") == "100 True"
    assert len(set(server.keys)) == len(server.keys) == 100
    assert 1 < server.connections <= 20


def test_greenlet_that_is_cut_off_leaves_no_answer_behind(server: ScriptedServer) -> None:
    from tests.publisher.scripted import RECEIPT, Silence, result

    late = Silence(then=result({**RECEIPT, "offset": 666}))
    server.script.extend([result(RECEIPT), late])
    assert run(KILLED, server.url, warnings="ignore") == "7"
    late.released.set()
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_forked_child_opens_its_own_connection(server: ScriptedServer) -> None:
    assert run(FORKED, server.url, warnings="ignore") == "0"
    assert sorted(request.connection for request in server.requests) == [1, 1, 2]


def test_patching_after_the_import_works_too(server: ScriptedServer) -> None:
    assert run(LATE, server.url, warnings="ignore") == "5"
