"""Servers and flows for the tests of this folder; no test sees this machine's own gateway or keys."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from messageflow import AsyncFlow, Flow
from messageflow.client_io import blocking_io
from messageflow.publisher import inprocess, later_sender
from tests.publisher.scripted import ScriptedServer


@pytest.fixture(autouse=True)
def strange_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hide the environment and the development file; close what a test left open."""
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_LIFETIME_LIMIT"):
        monkeypatch.delenv(f"MESSAGEFLOW_{name}", raising=False)
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))
    yield
    inprocess.uninstall()
    later_sender._senders.table().clear()
    for each in blocking_io._clients.table().values():
        each.close()
    blocking_io._clients.table().clear()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


class Face:
    """Calls either flow in the same way, so that one test holds for both."""

    def __init__(self, kind: type[Flow] | type[AsyncFlow], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.kind = kind
        self._runner = asyncio.Runner(loop_factory=new_loop)

    def make(self, url: str | None, **options: Any) -> Any:
        """Make a flow."""
        return self.kind(url, **options)

    def call(self, flow: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a flow, and await what there is to await."""
        return self.wait(getattr(flow, name)(*arguments, **options))

    def wait(self, value: Any) -> Any:
        """Return a value that may have to be awaited."""
        return self._runner.run(value) if inspect.iscoroutine(value) else value

    def close(self, flow: Any) -> None:
        """Close a flow's connections."""
        self.wait(flow.close())

    def end(self) -> None:
        """End the event loop."""
        self._runner.close()


FACES: dict[str, tuple[type[Flow] | type[AsyncFlow], Callable[[], asyncio.AbstractEventLoop]]] = {
    "Flow": (Flow, asyncio.new_event_loop),
    "AsyncFlow": (AsyncFlow, asyncio.new_event_loop),
    "AsyncFlow-uvloop": (AsyncFlow, uvloop.new_event_loop),
}


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    face = Face(*FACES[request.param])
    yield face
    face.end()
