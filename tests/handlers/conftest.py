"""A process without handlers, for each test."""

from __future__ import annotations

import pytest

from messageflow.handlers import decorators
from messageflow.handlers.registry import ProcessHandlers


@pytest.fixture(autouse=True)
def every(monkeypatch: pytest.MonkeyPatch) -> ProcessHandlers:
    table = ProcessHandlers()
    monkeypatch.setattr(decorators, "EVERY", table)
    return table
