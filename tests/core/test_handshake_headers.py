"""Which headers of a handshake an application sees."""

from __future__ import annotations

import pytest

from messageflow.core.handshake_headers import NO_HEADERS, USUAL_HEADERS, ShownHeaders, is_header_name

CAME = [
    (b"host", b"example.com"),
    (b"cookie", b"session=abc"),
    (b"user-agent", b"Firefox"),
    (b"authorization", b"Bearer x"),
    (b"cookie", b"theme=dark"),
    (b"x-request-id", b"7"),
    (b"x-request-id", b"\xe4"),
]


def test_what_is_named_is_shown_and_nothing_else() -> None:
    assert ShownHeaders(USUAL_HEADERS).select(CAME, own=True) == {
        "cookie": "session=abc; theme=dark",
        "user-agent": "Firefox",
        "authorization": "Bearer x",
        "x-request-id": "7, ä",
    }
    assert ShownHeaders(("host",)).select(CAME, own=True) == {"host": "example.com"}
    assert ShownHeaders(()).select(CAME, own=True) is NO_HEADERS


def test_another_page_does_not_pass_for_the_user() -> None:
    assert set(ShownHeaders(USUAL_HEADERS).select(CAME, own=False)) == {"user-agent", "x-request-id"}


NAMES = {"cookie": True, "x-é": False, "a b": False, "": False, "a:": False}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_what_can_be_the_name_of_a_header(name: str, expected: bool) -> None:
    assert is_header_name(name) is expected
