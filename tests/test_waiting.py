"""How long tests wait: as ever where a processor is free, and as many times longer as there are who share it."""

from __future__ import annotations

import os

import pytest

from tests.waiting import patience


@pytest.mark.parametrize(("load", "times"), [(0.0, 1), (2.0, 1), (6.0, 3), (100.0, 5)])
def test_patience_grows_with_those_who_share_a_processor(
    load: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert patience(20) == 20 * times
