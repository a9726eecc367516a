"""docs/hooks.md: its handlers and functions decide in a gateway that is started as the page says."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from messageflow.handlers.decorators import Decorators
from messageflow.hub.hooks import KINDS as IN_MODULES
from tests.docs.written import Written
from tests.support import running

SECONDS = 60.0


async def carry_out(url: str, token: str, *commands: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the replies to commands, the connect's left out."""
    found: dict[int, dict[str, Any]] = {}
    async with asyncio.timeout(SECONDS), connect(url) as link:
        for number, command in enumerate([{"connect": {"token": token}}, *commands], 1):
            await link.send(json.dumps({"id": number, **command}))
            while number not in found:
                replies = [json.loads(line) for line in str(await link.recv()).split("\n")]
                found |= {reply["id"]: reply for reply in replies if "id" in reply}
    return [found[number] for number in range(2, len(commands) + 2)]


@pytest.mark.parametrize("heading", ["Try it", "Functions of a module"])
async def test_the_functions_of_the_page_decide(tmp_path: Path, heading: str) -> None:
    written = Written("hooks.md", tmp_path)
    [command] = written.commands(heading)
    with running(shlex.split(command)[1:], tmp_path / "data", cwd=written.directory, keys=False) as gateway:
        tokens = [make_token(written, user, tmp_path / "data", gateway.url) for user in ("alice", "bob")]
        blue = {"channel": "rooms:blue"}
        told = await carry_out(
            gateway.websocket,
            tokens[0],
            {"subscribe": blue},
            {"publish": {**blue, "data": "hello"}},
            {"publish": {**blue, "data": "a casino"}},
            {"rpc": {"method": "members", "data": "rooms:blue"}},
            {"rpc": {"method": "other"}},
            {"subscribe": {"channel": "rooms:red"}},
        )
        assert [reply.get("error", {}).get("code", 0) for reply in told] == [0, 0, 1001, 0, 104, 103]
        assert told[3]["rpc"]["data"] == ["alice"]
        refused = await carry_out(gateway.websocket, tokens[1], {"subscribe": blue})
        assert refused[0]["error"]["code"] == 103


async def test_what_a_page_sends_reaches_every_page(tmp_path: Path) -> None:
    written = Written("hooks.md", tmp_path)
    [command] = written.commands("Try it")
    with running(shlex.split(command)[1:], tmp_path / "data", cwd=written.directory, keys=False) as gateway:
        token = make_token(written, "alice", tmp_path / "data", gateway.url)
        async with asyncio.timeout(SECONDS), connect(gateway.websocket) as link:
            await link.send(json.dumps({"id": 1, "connect": {"token": token}}))
            await link.send(json.dumps({"send": {"data": {"type": "city", "payload": "Rome"}}}))
            while "Rome" not in (heard := str(await link.recv())):
                pass
        assert '{"type":"city","payload":{"name":"Rome","by":"alice"}}' in heard


def make_token(written: Written, user: str, data: Path, url: str) -> str:
    written.environment |= {"MESSAGEFLOW_DATA_DIR": str(data), "MESSAGEFLOW_URL": url}
    return written.type(f"messageflow token {user}").strip()


def rows(after: str) -> list[str]:
    """Return what stands first in each row of a table of the page."""
    table = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text().split(after, 1)[1].split("\n## ", 1)[0]
    return [line.split("`")[1].partition("(")[0] for line in table.splitlines() if line.startswith("| `")]


def test_the_page_has_every_hook_and_no_other() -> None:
    assert sorted(rows("## Functions of a module")) == sorted(IN_MODULES)


def test_the_page_has_every_handler_and_no_other() -> None:
    decorators = {name for name in vars(Decorators) if not name.startswith("_")} - {"handlers"}
    assert set(rows("## The handlers")) == {f"@flow.{name}" for name in decorators}
