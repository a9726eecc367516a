"""Counters as they are declared: a name, a meaning, a label, and plain figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from messageflow.core.counting import Meaning, count, count_by, list_counters


@dataclass(slots=True)
class Kitchen:
    """A room that counts."""

    cups: int = count("Cups of tea.")
    guests: Counter[str] = count_by("name", "Guests.")
    open: bool = True


def test_what_a_room_counts_is_listed_with_its_meaning() -> None:
    assert list(list_counters(Kitchen)) == [("cups", Meaning("Cups of tea.")), ("guests", Meaning("Guests.", "name"))]


def test_counters_are_plain_figures_of_one_room_each() -> None:
    one, other = Kitchen(), Kitchen()
    one.cups += 1
    one.guests["ada"] += 2
    assert (one.cups, one.guests) == (1, {"ada": 2})
    assert (other.cups, other.guests) == (0, {})
