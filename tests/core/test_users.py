"""What can name a user, and what is said of the rest."""

from __future__ import annotations

import pytest

from messageflow.core.users import explain_user, is_user


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the user is empty"),
        ("*", "'*' is everyone, not a user: call somebody"),
        ("a\n", r"'a\n' is no user: it has the control character U\+000A"),
        ("\u2028", r"U\+2028"),
        ("x" * 256, "at most 255 bytes"),
        ("é" * 128, "at most 255 bytes"),
    ],
)
def test_why_a_text_is_no_user_is_said(text: str, why: str) -> None:
    assert not is_user(text)
    with pytest.raises(ValueError, match=why.replace("\\n", "\\\\n")):
        raise ValueError(explain_user(text, "call somebody"))
