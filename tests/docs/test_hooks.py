"""docs/hooks.md: its functions decide in a gateway that is started as the page says."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from messageflow.hub.hooks import KINDS
from tests.docs.written import Written
from tests.support import running

SECONDS = 15.0


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


async def test_the_functions_of_the_page_decide(tmp_path: Path) -> None:
    written = Written("hooks.md", tmp_path)
    [command] = written.commands("Try it")
    with running(shlex.split(command)[1:], tmp_path / "data", cwd=written.directory, keys=False) as gateway:
        written.environment |= {"MESSAGEFLOW_DATA_DIR": str(tmp_path / "data"), "MESSAGEFLOW_URL": gateway.url}
        tokens = [written.type(f"messageflow token {user}").strip() for user in ("alice", "bob")]
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


def test_the_page_has_every_hook_and_no_other() -> None:
    table = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text().split("## The hooks", 1)[1]
    named = [line.split("`")[1].partition("(")[0] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(named) == sorted(KINDS)
