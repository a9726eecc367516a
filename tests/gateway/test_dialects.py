"""A dialect that is a module and a line in the table, spoken through a gateway beside the native one, or elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from messageflow import AsyncFlow
from tests.hub import toy_dialect
from tests.support import API_KEY, TOKEN_SECRET, running

ROOT = Path(__file__).parents[2]
SECONDS = 15.0
THE_LINE = """
from messageflow.dialects import table
from tests.hub.toy_dialect import ToyDialect

table.DIALECTS += (table.Spoken("{path}", "toy", ToyDialect()),)
"""


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param("/connection/websocket", ["toy"], id="by name"),
        pytest.param("/connection/toy", None, id="on a path of its own"),
    ],
)
async def test_a_client_asks_for_its_dialect(
    path: str, asked: list[Subprotocol] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(THE_LINE.format(path=path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    token = jwt.encode({"sub": "alice", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    command = {"id": 1, "connect": {"token": token}}
    with running(["serve"], tmp_path / "data") as gateway:
        async with (
            asyncio.timeout(SECONDS),
            connect(f"ws://127.0.0.1:{gateway.port}{path}", subprotocols=asked) as toy,
            connect(gateway.websocket) as native,
            AsyncFlow(gateway.url, api_key=API_KEY) as flow,
        ):
            assert (toy.subprotocol, native.subprotocol) == ("toy" if asked else None, None)
            await toy.send(toy_dialect.write([command]).decode())
            await native.send(json.dumps(command))
            [answer] = toy_dialect.read(str(await toy.recv()).encode())
            assert list(answer["connect"]["subs"]) == ["#alice", "*"]
            assert "connect" in json.loads(str(await native.recv()))
            await flow.push("alice", "report/ready", {"id": 7})
            [heard] = toy_dialect.read(str(await toy.recv()).encode())
            assert heard == json.loads(str(await native.recv()))
            assert heard["push"]["pub"]["data"] == {"type": "report/ready", "payload": {"id": 7}}
