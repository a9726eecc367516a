"""What is dropped for its rate is told by the next line of its kind."""

from __future__ import annotations

import logging

import pytest

from messageflow.core.line_rates import BURST
from messageflow.hub.rate_limited_log import RateLimitedLog
from messageflow.testing.clock import ManualClock


def test_what_was_dropped_is_told_by_the_next_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    log = RateLimitedLog(logging.getLogger("messageflow.test"), clock)
    caplog.set_level(logging.INFO, "messageflow.test")
    results = [log(logging.WARNING, "shed", {"sessions": number}) for number in range(BURST + 5)]
    assert results == [True] * BURST + [False] * 5
    clock.advance(1.0)
    assert log(logging.WARNING, "shed", {"sessions": 0})
    assert len(caplog.records) == BURST + 1
    assert vars(caplog.records[-1])["suppressed_before"] == 5
    assert "suppressed_before" not in vars(caplog.records[0])


def test_a_line_below_the_level_is_neither_written_nor_dropped(caplog: pytest.LogCaptureFixture) -> None:
    log = RateLimitedLog(logging.getLogger("messageflow.test"), ManualClock())
    caplog.set_level(logging.WARNING, "messageflow.test")
    assert all(log(logging.DEBUG, "disconnected", {}) for _ in range(BURST * 2))
    assert log(logging.WARNING, "disconnected", {})
    assert "suppressed_before" not in vars(caplog.records[0])
