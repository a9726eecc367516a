"""Which namespace a name of a channel belongs to, and which namespaces there cannot be."""

from __future__ import annotations

import re

import pytest

from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.errors import ConfigurationError

NAMESPACES = Namespaces(named={"news": NamespaceOptions(channel_regex="[a-z]+")})


@pytest.mark.parametrize(
    ("channel", "known"),
    [
        ("plain", True),
        ("news:eu", True),
        ("$news:eu", True),
        ("news:EU", False),
        ("other:eu", False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("ä", False),
        ("x" * 255, True),
        ("x" * 256, False),
        ("#alice", True),
        ("#zoë", True),
        ("#", False),
        ("*", True),
        ("!revoked", False),
        ("!news:eu", False),
    ],
)
def test_a_name_belongs_to_a_namespace_or_to_none(channel: str, known: bool) -> None:
    assert (NAMESPACES.options(channel) is not None) == known


def test_a_namespace_that_cannot_be_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="a b"):
        Namespaces(named={"a b": NamespaceOptions()})
    with pytest.raises(ConfigurationError, match="channel_regex"):
        Namespaces(named={"news": NamespaceOptions(channel_regex="(")})


PATTERNS = Namespaces(
    NamespaceOptions(history_size=1),
    {"chat": NamespaceOptions(history_size=2), "team": NamespaceOptions(history_size=3)},
    patterns={
        "chat:room-*": NamespaceOptions(history_size=4),
        "chat:room-7": NamespaceOptions(history_size=5),
        "org-*": NamespaceOptions(history_size=6),
        "te*": NamespaceOptions(history_size=7),
        "lobby": NamespaceOptions(history_size=8),
        "org-x*": NamespaceOptions(history_size=9, channel_regex="[0-9]+"),
    },
)


@pytest.mark.parametrize(
    ("channel", "size"),
    [
        ("plain", 1),
        ("chat", 1),
        ("chat:eu", 2),
        ("chat:room-8", 4),
        ("chat:room-", 4),
        ("chat:room-7", 5),
        ("chat:room-77", 4),
        ("$chat:room-7", 5),
        ("org-7", 6),
        ("org-7:board", 6),
        ("org-7#alice", 6),
        ("$org-7", 6),
        ("team:a", 3),
        ("te", 7),
        ("tea", 7),
        ("tea:a", 7),
        ("lobby", 8),
        ("lobbyist", 1),
        ("org-x5", 9),
        ("org-xy", None),
        ("lobby:x", None),
        ("nowhere:chat:x", None),
        ("!org-7", None),
        ("org-7 8", None),
    ],
)
def test_of_names_and_patterns_the_one_that_says_most_counts(channel: str, size: int | None) -> None:
    for _ in range(2):  # what was found is remembered
        options = PATTERNS.options(channel)
        assert (options and options.history_size) == size


def test_a_star_alone_takes_every_channel_that_is_no_others() -> None:
    everything = Namespaces(named={"chat": NamespaceOptions()}, patterns={"*": NamespaceOptions(history_size=3)})
    found = [everything.options(name) for name in ("x", "y:z", "$y:z", "chat:x", "*", "#alice", "!x")]
    sizes = [options and options.history_size for options in found]
    assert sizes == [3, 3, 3, 10_000, 10_000, 10_000, None]


def test_why_a_channel_is_unknown_is_said() -> None:
    assert PATTERNS.explain("org-xy") == "its name does not match the channel_regex there"
    assert PATTERNS.explain("lobby:x") == "no namespace 'lobby' is configured"


def test_what_is_remembered_is_bounded() -> None:
    for number in range(10_000):
        PATTERNS.options(f"chat:{number}")
        PATTERNS.options(f"nowhere:{number}")
    assert 0 < len(PATTERNS._found) <= 4_096
    assert not any(channel.startswith("nowhere") for channel in PATTERNS._found)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "it is empty"),
        ("a*b", "a star stands only at the end"),
        ("a b", "printable ASCII"),
        ("$news:*", "write 'news:*'"),
        ("#alice", "channel.personal"),
        ("!x*", "the server's own"),
        ("chat:*", "say the same channels"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_at_the_start(pattern: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"the pattern {pattern!r}")) as caught:
        Namespaces(named={"chat": NamespaceOptions()}, patterns={pattern: NamespaceOptions()})
    assert sentence in str(caught.value)


def test_a_regex_needs_a_star_whose_rest_it_is_for() -> None:
    with pytest.raises(ConfigurationError, match="what the star stands for"):
        Namespaces(patterns={"news:eu": NamespaceOptions(channel_regex="x")})
