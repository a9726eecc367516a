"""The three forms of a report."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import status
from benchmarks.figures import Figure, Outcome, at_least, at_least_times_peer, at_most
from benchmarks.report import as_json, markdown, number, row, terminal

HELD = Figure("CPU per connect", "µs", (200.0, 240.0, 220.0), targets=(at_most(250),))
HALF = Figure("deliveries", "M/s", (2.0,), "Nchan", (0.5,), (at_least_times_peer(10), at_least(1.5)))
FACTS = {"cpu": "Some CPU, 2 cores"}


def outcome(*figures: Figure, failure: str = "") -> Outcome:
    return Outcome("name", "how", 1.23, figures, failure)


@pytest.mark.parametrize(
    ("value", "text"),
    [(51234.6, "51,235"), (1000.0, "1,000"), (213.4, "213"), (1.2345, "1.23"), (0.226, "0.23"), (0.0, "0")],
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_row_without_a_peer_has_dashes_for_it() -> None:
    assert row(HELD) == ("CPU per connect", "220 µs", "–", "–", "≤ 250 µs", "held")


def test_a_row_names_the_target_that_is_missed_among_several() -> None:
    assert row(HALF)[3:] == ("4.00 ×", "≥ 10 × Nchan, ≥ 1.5 M/s", "NOT held: ≥ 10 × Nchan")


def test_the_terminal_table_is_aligned_and_ends_with_what_could_not_run() -> None:
    lines = terminal([outcome(HELD, HALF), outcome(failure="wrk is missing")]).splitlines()
    assert len({line.index("≥ 10 ×" if "≥ 10 ×" in line else "≤ 250") for line in lines[2:4]}) == 1
    assert lines[-1] == "name could not run: wrk is missing"


def test_markdown_marks_only_what_is_missed_and_says_how_it_was_made() -> None:
    text = markdown([outcome(HELD, HALF)], FACTS, "python -m benchmarks")
    assert "| CPU per connect | 220 µs | – | – | ≤ 250 µs |\n" in text
    assert "(**NOT held: ≥ 10 × Nchan**) |\n" in text
    assert text.endswith("Made by `python -m benchmarks` on: cpu Some CPU, 2 cores.\n")


def test_json_keeps_the_samples() -> None:
    document = json.loads(as_json([outcome(HELD)], FACTS, "command"))
    (figure,) = document["benchmarks"][0]["figures"]
    assert figure["our_samples"] == [200.0, 240.0, 220.0]
    assert figure["targets"] == [{"target": "≤ 250 µs", "held": True}]


@pytest.mark.parametrize(
    ("one", "check", "expected"),
    [
        (outcome(HALF), False, 0),
        (outcome(HALF), True, 2),
        (outcome(HELD), True, 0),
        (outcome(HELD, failure="wrk is missing"), True, 1),
    ],
)
def test_exit_status(one: Outcome, check: bool, expected: int) -> None:
    assert status([one], check=check) == expected
