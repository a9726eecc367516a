"""docs/testing.md: its tests pass as it says, and one without a fixture fails."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from messageflow.testing import pytest_plugin
from tests.docs.written import CONSOLE, Written

INSTALLED = any(each.value == pytest_plugin.__name__ for each in entry_points(group="pytest11"))


def test_its_tests_pass(tmp_path: Path) -> None:
    written = Written("testing.md", tmp_path)
    consoles = [line[2:] for console in CONSOLE.findall(written.text) for line in console.splitlines()]
    assert consoles[1:] == ["pytest", "python -m unittest"]
    pytest = "pytest -p no:cacheprovider" + ("" if INSTALLED else f" -p {pytest_plugin.__name__}")
    assert "10 passed" in written.type(pytest)
    (written.directory / "test_cases.py").write_text(
        'from app import app\n\ndef test_it():\n    app.test_client().post("/news", data={"title": "x"})\n'
    )
    failed = written.type(f"{pytest} test_cases.py || true")
    assert "https://push.example.com, a real gateway, at" in failed
    before, _ = written.files["app.py"].split("flow.broadcast(", 1)
    assert f"app.py:{before.count(chr(10)) + 1}" in failed
