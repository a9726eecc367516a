"""docs/typed-messages.md: its commands, its page as the compiler reads it, its tests, and the errors that it quotes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from messageflow.testing import pytest_plugin
from tests.docs.test_testing import INSTALLED
from tests.docs.written import CONSOLE, ROOT, Written

QUOTED = re.compile(r"^```text\n(.*?)\n```", re.MULTILINE)
CLIENT = ROOT / "client"
ERRORS = """
import pytest

from app import flow
from messageflow import Refused
from messages import ReportReady


def test_the_errors_that_are_quoted(live_gateway):
    with pytest.raises(Exception) as caught:
        flow.push("alice", ReportReady(id="7"))
    assert f"{{type(caught.value).__module__}}.{{type(caught.value).__name__}}: {{caught.value}}" == {0!r}
    with pytest.raises(Refused, match="error") as caught:
        live_gateway.connect("alice").emit("city/submitted", {{"name": 7}})
    assert {1!r} in str(caught.value)
"""


def test_what_it_says_holds(tmp_path: Path) -> None:
    written = Written("typed-messages.md", tmp_path)
    types, check, asyncapi, pytest = [
        line[2:] for console in CONSOLE.findall(written.text) for line in console.splitlines()
    ]
    written.type(f"{types} && {check} && {asyncapi}")
    assert json.loads((written.directory / "asyncapi.json").read_text())["asyncapi"].startswith("3.")
    options = {
        "target": "ES2022",
        "module": "ESNext",
        "moduleResolution": "bundler",
        "types": [],
        "strict": True,
        "noEmit": True,
        "paths": {"messageflow": [str(CLIENT / "dist/types/index.d.ts")]},
    }
    config = written.directory / "tsconfig.json"
    config.write_text(json.dumps({"compilerOptions": options, "files": ["page.ts"]}))
    compiler = CLIENT / "node_modules/typescript/bin/tsc"
    ran = subprocess.run(["node", compiler, "-p", config], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (written.directory / "test_errors.py").write_text(ERRORS.format(*QUOTED.findall(written.text)))
    plugin = "" if INSTALLED else f" -p {pytest_plugin.__name__}"
    assert "3 passed" in written.type(f"{pytest} -p no:cacheprovider{plugin}")
