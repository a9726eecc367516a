"""Names of channels: which there can be, whose they are, and the namespace in them."""

from __future__ import annotations

import pytest

from messageflow.core.channels import is_channel, owned_by_server, personal, split


@pytest.mark.parametrize(
    ("name", "can_be"),
    [
        ("plain", True),
        ("$news:eu", True),
        ("#zoë", False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("ä", False),
        ("x" * 255, True),
        ("x" * 256, False),
    ],
)
def test_a_name_is_printable_ascii_of_at_most_255_characters(name: str, can_be: bool) -> None:
    assert is_channel(name) == can_be


@pytest.mark.parametrize(
    ("channel", "parts"),
    [
        ("plain", (None, "plain")),
        ("news:eu", ("news", "eu")),
        ("$news:eu", ("news", "eu")),
        ("$private", (None, "private")),
        ("news:eu:fr", ("news", "eu:fr")),
    ],
)
def test_what_stands_before_the_first_colon_is_the_namespace(channel: str, parts: tuple[str | None, str]) -> None:
    assert split(channel) == parts


def test_a_client_names_no_channel_of_the_servers() -> None:
    assert all(map(owned_by_server, (personal("alice"), "*", "!revoked")))
    assert not any(map(owned_by_server, ("plain", "chat#alice", "$private", "a*", "a!")))
