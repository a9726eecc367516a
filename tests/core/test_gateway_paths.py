"""A base path, in the one form in which it is compared."""

from __future__ import annotations

import pytest

from messageflow.core.gateway_paths import BASE_PATH, parse_base_path


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/messageflow/", BASE_PATH),
        ("messageflow", BASE_PATH),
        (" /push ", "/push/"),
        ("/a/b-c/~d_e.f/", "/a/b-c/~d_e.f/"),
        ("/.well-known/push", "/.well-known/push/"),
        ("/...", "/.../"),
    ],
)
def test_a_path_has_a_slash_at_both_ends(written: str, path: str) -> None:
    assert parse_base_path(written) == path


@pytest.mark.parametrize(
    "written",
    ["", "/", "//", "/a//b/", "/a b/", "/ä/", "/%61/", "/a?b", "/a#b", "/..", "/a/./b", "https://h/a", "/a\nb"],
)
def test_what_is_no_path_or_could_be_written_otherwise_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="base path"):
        parse_base_path(written)
