"""A revocation refuses exactly what was made before it, until no such token can live any more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.revocations import (
    MARGIN,
    UNDATED,
    UNLIMITED,
    Revocation,
    Revocations,
    decode_revocation,
    encode_revocation,
    kept_for,
)

NOW = 1_800_000_000.0
DAY = 86_400.0

dates = st.floats(NOW - DAY, NOW)
revoked = st.lists(st.builds(Revocation, st.sampled_from("abc"), dates), max_size=20)


def having(*given: Revocation, most: int = 100) -> Revocations:
    made = Revocations(DAY, most)
    for revocation in given:
        made.add(revocation, NOW)
    return made


@given(revoked, st.permutations(range(20)), st.sampled_from("abcd"), dates)
def test_the_order_in_which_they_come_does_not_matter(
    given: list[Revocation], order: list[int], user: str, issued_at: float
) -> None:
    shuffled = [given[index] for index in order if index < len(given)]
    before = max((each.before for each in given if each.user == user and each.before + DAY > NOW), default=-math.inf)
    for each in (having(*given), having(*shuffled), having(*given, *given)):
        assert each.refuses(user, issued_at, NOW) == (issued_at < before)


def test_a_token_made_within_the_same_second_is_refused_or_not_by_fractions() -> None:
    revocations = having(Revocation("alice", NOW - 0.5))
    assert revocations.refuses("alice", NOW - 0.500001, NOW)
    assert not revocations.refuses("alice", NOW - 0.5, NOW)
    assert revocations.refuses("alice", math.floor(NOW - 0.5), NOW)


def test_what_has_no_date_is_refused() -> None:
    assert having(Revocation("alice", NOW)).refuses("alice", UNDATED, NOW)
    assert not having(Revocation("alice", NOW)).refuses("bob", UNDATED, NOW)


def test_only_what_refuses_more_than_before_is_news() -> None:
    revocations = having(Revocation("alice", NOW - 10))
    assert not revocations.add(Revocation("alice", NOW - 10), NOW)
    assert not revocations.add(Revocation("alice", NOW - 11), NOW)
    assert not revocations.add(Revocation("bob", NOW - DAY), NOW)
    assert revocations.add(Revocation("alice", NOW - 9), NOW)


def test_one_stands_until_no_token_it_refuses_can_live() -> None:
    revocations = having(Revocation("alice", NOW))
    assert revocations.refuses("alice", NOW - 1, NOW + DAY - 1)
    assert not revocations.refuses("alice", NOW - 1, NOW + DAY)
    revocations.add(Revocation("bob", NOW + DAY), NOW + DAY)
    assert len(revocations) == 1


def test_beyond_the_bound_the_oldest_are_forgotten_and_counted() -> None:
    revocations = having(*(Revocation(f"user{number}", NOW - 9 + number) for number in range(5)), most=3)
    assert (len(revocations), revocations.forgotten) == (3, 2)
    assert [revocations.refuses(f"user{number}", UNDATED, NOW) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(("limit", "seconds"), [(60.0, 60.0), (DAY, DAY), (math.inf, UNLIMITED)])
def test_it_stands_for_the_lifetime_of_tokens_and_what_clocks_may_differ_by(limit: float, seconds: float) -> None:
    assert kept_for(limit) == seconds + MARGIN


@given(st.text(), st.floats(0, 1e10))
def test_a_date_is_stored_to_the_last_digit(user: str, before: float) -> None:
    assert decode_revocation(encode_revocation(Revocation(user, before))) == Revocation(user, before)


def test_one_token_is_revoked_and_no_other() -> None:
    revocations = having(Revocation("alice", NOW - 10, token="phone"))
    assert revocations.refuses("alice", NOW, NOW, "phone")  # whenever it says that it was made
    assert not revocations.refuses("alice", NOW - 20, NOW, "desk")
    assert not revocations.refuses("alice", NOW - 20, NOW)
    assert not revocations.refuses("bob", NOW - 20, NOW, "phone")
    assert not revocations.refuses("alice", NOW - 20, NOW + DAY, "phone")


def test_what_tokens_say_of_some_channels_is_revoked() -> None:
    revocations = having(
        Revocation("alice", NOW - 10, channels="org:*"), Revocation("alice", NOW - 5, channels="org:1")
    )
    assert revocations.withdraws("alice", NOW - 11, "org:2", NOW)
    assert not revocations.withdraws("alice", NOW - 10, "org:2", NOW)
    assert revocations.withdraws("alice", NOW - 6, "org:1", NOW)
    assert not revocations.withdraws("alice", NOW - 11, "news", NOW)
    assert not revocations.withdraws("bob", NOW - 11, "org:2", NOW)
    assert not revocations.withdraws("alice", NOW - 11, "org:2", NOW + DAY)
    assert not revocations.refuses("alice", NOW - 11, NOW)


@pytest.mark.parametrize("channel", ["#alice", "*"])
def test_what_is_the_users_own_is_never_withdrawn(channel: str) -> None:
    assert not having(Revocation("alice", NOW, channels="*")).withdraws("alice", NOW - 1, channel, NOW)


def test_what_is_forgotten_of_channels_is_forgotten_whole() -> None:
    revocations = having(*(Revocation("alice", NOW - 9 + number, channels=f"c{number}") for number in range(5)), most=3)
    assert revocations.forgotten == 2
    assert [revocations.withdraws("alice", UNDATED, f"c{number}", NOW) for number in range(5)] == [False] * 2 + [
        True
    ] * 3
    revocations.add(Revocation("bob", NOW + DAY), NOW + DAY)
    assert revocations.about_channels == {}


def test_a_revocation_of_every_token_is_stored_as_it_always_was() -> None:
    assert encode_revocation(Revocation("alice", 5.5)) == b'{"user":"alice","before":5.5}'
