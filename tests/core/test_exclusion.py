"""Whom a publication is not for, and what they are sent in its place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.exclusion import collect_excluded, is_client_id, leave_out, list_excluded
from messageflow.core.protocol import Moved
from messageflow.core.stream import Publication


@dataclass(frozen=True)
class Client:
    client: str
    former: tuple[str, ...] = ()


ALICE = Client("a2", ("a0", "a1"))


def publication(offset: int, exclude: str = "") -> Publication:
    return Publication(offset, f"tag {offset}" if offset else "", 0.0, b"1", exclude=exclude)


@pytest.mark.parametrize("name", ["a2", "a0", "a1"])
def test_a_client_goes_by_its_connection_and_by_those_before(name: str) -> None:
    assert leave_out([publication(1, name)], ALICE) == [Moved(1, "tag 1")]
    assert list_excluded([ALICE, Client("b")], [publication(1), publication(2, name)]) == [ALICE]


def test_one_word_stands_for_all_that_is_left_out_in_a_row() -> None:
    mine, others = [publication(1, "a2"), publication(2, "a1")], [publication(3), publication(4, "b")]
    assert leave_out([*mine, *others, publication(5, "a2")], ALICE) == [
        Moved(2, "tag 2", 2),
        *others,
        Moved(5, "tag 5"),
    ]


def test_what_has_no_number_is_left_out_without_a_word() -> None:
    assert leave_out([publication(0, "a2"), publication(0)], ALICE) == [publication(0)]


@given(st.lists(st.sampled_from(["", "a0", "a2", "b"])))
def test_a_client_gets_what_is_for_it_and_stands_where_all_do(excluded: list[str]) -> None:
    published = [publication(offset, exclude) for offset, exclude in enumerate(excluded, 1)]
    sent = leave_out(published, ALICE)
    assert [each for each in sent if isinstance(each, Publication)] == [p for p in published if p.exclude in ("", "b")]
    assert [each.offset for each in sent] == sorted({each.offset for each in sent})
    assert sum(each.count if isinstance(each, Moved) else 1 for each in sent) == len(published)
    assert not published or (sent[-1].offset, sent[-1].tag) == (len(published), f"tag {len(published)}")
    assert collect_excluded(published) == set(excluded) - {""}


@pytest.mark.parametrize(
    ("text", "can_be"),
    [
        ("K3-_x" * 4, True),
        ("x" * 64, True),
        ("", False),
        ("x" * 65, False),
        ("a b", False),
        ("a\nb", False),
        ("é", False),
    ],
)
def test_the_id_of_a_client_is_a_word(text: str, can_be: bool) -> None:
    assert is_client_id(text) is can_be
