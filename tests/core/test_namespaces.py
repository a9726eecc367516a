"""Which namespace a name of a channel belongs to, and which namespaces there cannot be."""

from __future__ import annotations

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
