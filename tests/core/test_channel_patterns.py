"""Patterns of channels, by values."""

from __future__ import annotations

import pytest

from messageflow.core.channel_patterns import explain_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "channel", "expected"),
    [
        ("news:*", "news:eu", True),
        ("news:*", "news:", True),
        ("news:*", "news", False),
        ("news:*", "newsroom:eu", False),
        ("news:*", "other:news:eu", False),
        ("news:eu", "news:eu", True),
        ("news:eu", "news:eu2", False),
        ("news:eu", "News:eu", False),
        ("org-7:room-*", "org-7:room-12", True),
        ("org-7:room-*", "org-77:room-12", False),
        ("*", "anything", True),
        ("*", "news:eu", True),
        ("news.*", "news:eu", False),
        ("new?:eu", "news:eu", False),
    ],
)
def test_what_a_pattern_matches(pattern: str, channel: str, expected: bool) -> None:
    assert matches(pattern, channel) is expected


@pytest.mark.parametrize("pattern", ["*", "news:*", "news:eu", "$private:*", "a*"])
def test_what_is_a_pattern(pattern: str) -> None:
    assert explain_pattern(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", "empty"),
        ("*:eu", "only at the end"),
        ("**", "only at the end"),
        ("news *", "without blanks"),
        ("näws:*", "ASCII"),
        ("news\n*", "ASCII"),
        ("x" * 256, "255"),
    ],
)
def test_what_is_none_and_why(pattern: str, text: str) -> None:
    assert text in explain_pattern(pattern)
