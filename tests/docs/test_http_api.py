"""docs/http-api.md: its commands, typed, are answered as it says; and it has every method there is."""

from __future__ import annotations

import re
from pathlib import Path

from messageflow.api.methods import METHODS
from tests.docs.written import GATEWAY, Written
from tests.support import API_KEY, TOKEN_SECRET

KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
CALL = re.compile(r"^\$ (curl .*)\n(\{.*\})$", re.MULTILINE)


def test_what_is_typed_is_answered_so(tmp_path: Path) -> None:
    written = Written("http-api.md", tmp_path)
    written.environment |= KEYS
    calls = CALL.findall(written.text)
    assert len(calls) == 5
    with written.gateway("messageflow serve", **KEYS) as gateway:
        for command, answer in calls:
            said = written.type(command.replace(GATEWAY, gateway.url)).strip()
            assert re.fullmatch(re.escape(answer).replace("…", r"[\w-]+"), said), said


def test_every_method_is_there() -> None:
    text = Path(__file__).parents[2].joinpath("docs/http-api.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert rows == METHODS.keys()
