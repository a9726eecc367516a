"""Of each kind of line a few at once, then one a second, and the rest counted."""

from __future__ import annotations

import logging

import pytest

from messageflow.hub.rate_limited_log import BURST, MOST_KINDS, LineRates, RateLimitedLog
from messageflow.testing.clock import ManualClock


def test_a_few_at_once_then_one_a_second_and_the_rest_counted() -> None:
    rates = LineRates()
    assert [rates.take("a", 0.0) for _ in range(BURST + 3)] == [0] * BURST + [None] * 3
    assert rates.take("a", 0.9) is None
    assert rates.take("a", 1.0) == 4
    assert rates.take("a", 1.5) is None
    assert rates.take("a", 2.0) == 1
    assert [rates.take("a", 1000.0) for _ in range(BURST + 1)] == [0] * BURST + [None]


def test_a_flood_of_one_kind_hides_no_other() -> None:
    rates = LineRates()
    for _ in range(1000):
        rates.take("a", 0.0)
    assert rates.take("b", 0.0) == 0


def test_kinds_without_end_share_what_is_left() -> None:
    rates = LineRates()
    written = sum(rates.take(number, 0.0) is not None for number in range(3 * MOST_KINDS))
    assert written == MOST_KINDS + BURST


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
