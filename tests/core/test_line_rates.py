"""Of each kind of line a few at once, then one a second, and the rest counted."""

from __future__ import annotations

from messageflow.core.line_rates import BURST, MOST_KINDS, LineRates


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
