"""docs/decisions: numbered without a gap, one page each, all of them in the index; docs/design.md stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "decisions").glob("[0-9]*.md"))
ONE_PAGE = 45  # lines


def title(page: Path) -> str:
    return page.read_text().splitlines()[0].removeprefix("# ")


def test_they_are_numbered_without_a_gap() -> None:
    assert [int(page.name[:4]) for page in PAGES] == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_has_its_number_a_context_a_choice_and_a_cost_on_one_page(page: Path) -> None:
    text = page.read_text()
    assert title(page).startswith(f"{int(page.name[:4])}. ")
    assert all(f"\n**{part}" in text for part in ("Context.", "Choice.", "Cost."))
    assert len(text.splitlines()) <= ONE_PAGE


def test_the_index_has_each_of_them_once_with_its_title() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    listed = re.findall(r"^- \[(.*)\]\(([\w-]+\.md)\)$", index, re.MULTILINE)
    assert sorted(listed, key=lambda entry: entry[1]) == [(title(page), page.name) for page in PAGES]


def test_what_is_promised_fits_two_pages() -> None:
    assert len((DOCS / "design.md").read_text().splitlines()) <= 2 * ONE_PAGE
