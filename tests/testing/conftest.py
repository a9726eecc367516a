"""No test of this folder sees this machine's own gateway or keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from messageflow.handlers.registry import EVERY


@pytest.fixture(autouse=True)
def strange_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "HOOKS_SECRET"):
        monkeypatch.delenv(f"MESSAGEFLOW_{name}", raising=False)
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No handler of another test of this process is asked, which may refuse whoever comes."""
    monkeypatch.setattr(EVERY, "_named", {})
    monkeypatch.setattr(EVERY, "_listed", {})
