"""Children of a process that has used its connections, whether or not a hook tells them that they are children."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

import pytest

from messageflow import AsyncFlow, Flow, OutcomeUnknown
from messageflow.client_io.asyncio_io import ASYNCIO
from messageflow.client_io.http1 import parse_url
from messageflow.client_io.http_client import HttpClient
from messageflow.client_io.kernel import ApiClient
from messageflow.client_io.processes import OpenedBy, PerProcess
from messageflow.publisher import inprocess
from tests.client_io.children import in_child
from tests.publisher.programs import FORKED_IN_C, FORKED_IN_C_TO_AWAIT, run
from tests.publisher.scripted import RECEIPT, ScriptedServer, result
from tests.support import running

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

libc = ctypes.PyDLL(None)


@pytest.mark.parametrize("program", [FORKED_IN_C, FORKED_IN_C_TO_AWAIT], ids=["Flow", "AsyncFlow"])
def test_children_that_no_hook_announced_get_their_own_receipts(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three uWSGI workers after one push at import: all used its connection, and read each other's receipts."""
    with running(("serve", "--dev", "--broker", "memory"), tmp_path, keys=False) as started:
        monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path))
        assert run(program, started.url) == "[0, 0, 0] 6"


def test_a_loop_that_came_with_the_fork_gets_new_connections(server: ScriptedServer) -> None:
    endpoint = parse_url(server.url)

    async def client() -> ApiClient:
        return ASYNCIO.get_client(endpoint, HttpClient)

    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(client())
    assert loop.run_until_complete(client()) is first
    assert in_child(lambda: loop.run_until_complete(client()) is not first, libc.fork)
    loop.close()


def test_a_child_has_no_gateway_in_its_process() -> None:
    async def call(_method: str, _body: bytes) -> tuple[int, bytes]:
        raise AssertionError("nobody runs the loop")

    loop = asyncio.new_event_loop()
    inprocess.install(call, loop)
    assert in_child(lambda: inprocess.find_installed() is None, libc.fork)
    assert inprocess.find_installed() is not None
    inprocess.uninstall()
    assert inprocess.find_installed() is None
    loop.close()


@pytest.mark.parametrize("kind", [Flow, AsyncFlow])
def test_a_call_that_was_under_way_at_the_fork_reads_no_answer_in_the_child(
    server: ScriptedServer, kind: type[Flow] | type[AsyncFlow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a greenlet is: it goes on in parent and child."""
    server.script.extend([result(RECEIPT)] * 3)
    flow = kind(server.url, timeout=0.5)
    monkeypatch.setattr(OpenedBy, "check", _forked_meanwhile)
    with pytest.raises(OutcomeUnknown, match="forked during the call"):
        asyncio.run(flow.push("a", "t")) if isinstance(flow, AsyncFlow) else flow.push("a", "t")


def _forked_meanwhile(_self: OpenedBy) -> None:
    raise ConnectionAbortedError("the process was forked during the call")


def test_only_the_process_that_opened_it_goes_on() -> None:
    opened = OpenedBy()
    opened.check()

    def refused() -> bool:
        with pytest.raises(ConnectionAbortedError):
            opened.check()
        return True

    assert in_child(refused, libc.fork)


def test_what_belongs_to_the_parent_is_abandoned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned: list[str] = []
    table: PerProcess[str, str] = PerProcess(abandoned.append)
    table.table()["a"] = "the parent's"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert table.table() == {}
    table.table()["a"] = "the child's"
    assert table.table() == {"a": "the child's"}
    assert abandoned == ["the parent's"]
