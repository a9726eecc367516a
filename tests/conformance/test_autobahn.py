"""Autobahn's fuzzing client against our protocol class: sections 1 to 7 and 10, verdict by verdict.

Autobahn needs CPython 2.7. Where there is one, its virtual environment is made in the user's cache; where there is none
the test says so. `expected.json` holds the verdicts of the last run that was looked at; write it anew with
`python -m tests.conformance.test_autobahn`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

EXPECTED = Path(__file__).with_name("expected.json")
RELEASE = "autobahntestsuite==25.10.1"
SECTIONS = [*(f"{section}.*" for section in range(1, 8)), "10.*"]


def python27() -> str | None:
    """Return a CPython 2.7, on the path or of pyenv, or None."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted((root / "versions").glob("2.7.*/bin/python"))
    return str(installed[-1]) if installed else shutil.which("python2.7")


def wstest(python: str) -> Path:
    """Return Autobahn's command, installed the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "messageflow" / "autobahn"
    command = cache / "env" / "bin" / "wstest"
    if not command.exists():
        boot = cache / "boot"
        boot.mkdir(parents=True, exist_ok=True)
        run = {"check": True, "timeout": 300, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([python, "-m", "pip", "install", "--target", str(boot), "virtualenv<20.22"], **run)  # type: ignore[call-overload]
        environment = {**os.environ, "PYTHONPATH": str(boot)}
        subprocess.run([python, "-m", "virtualenv", str(cache / "env")], env=environment, **run)  # type: ignore[call-overload]
        subprocess.run([str(cache / "env" / "bin" / "pip"), "install", RELEASE], **run)  # type: ignore[call-overload]
    return command


def verdicts(python: str) -> dict[str, str]:
    """Run the fuzzing client; return what it says of each case."""
    echo = subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.echo"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert echo.stdout is not None
    try:
        port = int(echo.stdout.readline())
        with tempfile.TemporaryDirectory() as directory:
            spec = {
                "outdir": directory,
                "servers": [{"agent": "messageflow", "url": f"ws://127.0.0.1:{port}"}],
                "cases": SECTIONS,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            file = Path(directory) / "spec.json"
            file.write_text(json.dumps(spec))
            command = [str(wstest(python)), "-m", "fuzzingclient", "-s", str(file)]
            subprocess.run(command, check=True, timeout=240, capture_output=True)
            index = json.loads((Path(directory) / "index.json").read_text())["messageflow"]
    finally:
        echo.communicate("", timeout=20)
    return {case: f"{result['behavior']}, close {result['behaviorClose']}" for case, result in sorted(index.items())}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_verdicts_are_those_expected_and_none_is_failed() -> None:
    python = python27()
    if python is None:
        pytest.skip("Autobahn needs CPython 2.7, and there is none here")
    expected = json.loads(EXPECTED.read_text())
    assert not [case for case, verdict in expected.items() if "FAILED" in verdict]
    assert verdicts(python) == expected


if __name__ == "__main__":
    found = python27()
    assert found is not None, "Autobahn needs CPython 2.7"
    EXPECTED.write_text(json.dumps(verdicts(found), indent=0) + "\n")
    print(Counter(json.loads(EXPECTED.read_text()).values()))  # noqa: T201 - a command prints
