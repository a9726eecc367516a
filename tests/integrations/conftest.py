"""One gateway for the tests of this folder; no test sees this machine's own gateway or keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Running, running

HOOKS_SECRET = "a-secret-of-the-webhooks-0123456789abcdef"


@pytest.fixture(autouse=True)
def strange_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "HOOKS_SECRET"):
        monkeypatch.delenv(f"MESSAGEFLOW_{name}", raising=False)
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(("serve", "--broker", "memory"), tmp_path_factory.mktemp("gateway")) as started:
        yield started
