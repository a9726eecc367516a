"""A `Flow` on an event loop: refused where requests are served, told of elsewhere."""

from __future__ import annotations

import asyncio
import logging

import pytest

from messageflow import AsyncFlow, Flow, PublishError
from messageflow.publisher import served_loops
from tests.publisher.scripted import ScriptedServer


async def test_where_requests_are_served_a_flow_refuses_to_wait(server: ScriptedServer) -> None:
    served_loops.note_served(asyncio.get_running_loop())
    flow = Flow(server.url, api_key="key")
    for call in (lambda: flow.push("alice", "t"), flow.info, flow.later.flush):
        with pytest.raises(PublishError, match="await AsyncFlow instead"):
            call()
    assert not server.requests
    assert (await asyncio.to_thread(flow.push, "alice", "t")).offset
    async with AsyncFlow(server.url, api_key="key") as to_await:
        assert (await to_await.push("alice", "t")).offset


async def test_on_any_other_loop_it_waits_and_the_log_says_so_once(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_loops, "_has_warned", False)
    flow = Flow(server.url, api_key="key")
    with caplog.at_level(logging.WARNING, "messageflow"):
        assert all(flow.push("alice", "t").offset for _ in range(2))
    assert [record.getMessage() for record in caplog.records] == [served_loops.UNKNOWN]


def test_without_a_loop_nothing_is_said(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    assert Flow(server.url, api_key="key").push("alice", "t").offset
    assert not caplog.records


def test_where_pages_load_the_client_is_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow("http://gateway")
    assert flow.script_url == "/messageflow.js"
    monkeypatch.setenv("MESSAGEFLOW_SCRIPT_URL", "https://push.example/messageflow.js")
    assert flow.script_url == "https://push.example/messageflow.js"
