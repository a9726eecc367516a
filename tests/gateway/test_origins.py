"""Origins: a table of what browsers, attackers and programs send, and of what people write into settings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.errors import ConfigurationError
from messageflow.gateway.origins import Origins

LISTED = Origins(
    [
        "https://app.example.com",
        "http://localhost:3000",
        "https://xn--mnchen-3ya.example",
        "http://[0:0:0:0:0:0:0:1]:8080",
        "https://kiosk.example",
        "http://10.0.0.7",
    ]
)
HOST = "push.example.com"


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "HTTPS://App.Example.COM",
        "https://app.example.com:443",
        "http://localhost:3000",
        "https://xn--mnchen-3ya.example",
        "http://[::1]:8080",
        "http://[0::1]:8080",
        "http://[0:0:0:0:0:0:0:1]:8080",
        "http://10.0.0.7:80",
    ],
)
def test_a_listed_origin_passes_however_it_is_spelled(origin: str) -> None:
    assert LISTED.allows(origin, HOST, secure=True)


@pytest.mark.parametrize(
    "origin",
    [
        # another scheme, host or port
        "http://app.example.com",
        "wss://app.example.com",
        "https://example.com",
        "https://www.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:80",
        "http://localhost",
        "http://localhost:3001",
        "http://localhost:30000",
        "http://127.0.0.1:3000",
        "http://[::1]",
        "http://[::2]:8080",
        "http://::1:8080",
        "http://[::1:8080",
        "http://[:::1]:8080",
        "http://[::1%25eth0]:8080",
        # addresses that other programs read otherwise than browsers do
        "http://010.0.0.7",
        "http://10.7",
        "http://10.0.0.7.",
        "http://10.0.0.263",
        "http://167772167",
        # a listed name as a part of another
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://evil.app.example.com",
        "https://evilapp.example.com",
        "https://app.example.community",
        "https://app.example.co",
        "https://app-example.com",
        "https://appxexample.com",
        "https://evil.example/https://app.example.com",
        "https://evil.example?https://app.example.com",
        "https://evil.example#https://app.example.com",
        # more than an origin
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?query",
        "https://app.example.com#fragment",
        "https://user@app.example.com",
        "https://user:password@app.example.com",
        "https://app.example.com@evil.example",
        "https://app.example.com:443@evil.example",
        "https://app.example.com\\@evil.example",
        "https://app.example.com%2eevil.example",
        # ports
        "https://app.example.com:",
        "https://app.example.com:0443",
        "http://localhost:03000",
        "https://app.example.com:0",
        "https://app.example.com:65979",
        "https://app.example.com:+443",
        "https://app.example.com:4_43",
        # dots, white space, lists, line ends
        "https://app.example.com.",
        "https://.app.example.com",
        "https://app..example.com",
        " https://app.example.com",
        "https://app.example.com ",
        "https://app.example.com\n",
        "https://app.example.com\r\nX: y",
        "https://app.example.com\x00",
        "https://app.example.com\t",
        "https://app.example.com, https://evil.example",
        "https://evil.example, https://app.example.com",
        "https://evil.example https://app.example.com",
        "https://app.example.com,https://app.example.com",
        # international names that look or fold alike
        "https://münchen.example",
        "https://xn--mnchen-3ya.example.evil.example",
        "https://аpp.example.com",  # the first letter is Cyrillic
        "https://app.example。com",
        "http://localhost:３０００",
        "https://\u212aiosk.example",  # the Kelvin sign, which lower() folds to k
        # no origin
        "null",
        "NULL",
        "",
        "*",
        "app.example.com",
        "//app.example.com",
        "https:app.example.com",
        "https:/app.example.com",
        "https:///app.example.com",
        "https://",
        "https",
        "file://",
        "data:text/html,x",
        "blob:https://app.example.com/2f1a",
        "javascript:alert(1)",
        "chrome-extension://abcdefghijklmnop",
        # the gateway's own host by another scheme or port
        "http://push.example.com",
        "https://push.example.com:8443",
        "https://push.example.com.evil.example",
    ],
)
def test_anything_else_is_refused_where_there_is_a_list(origin: str) -> None:
    assert not LISTED.allows(origin, HOST, secure=True)


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False),
        ("http://localhost:8000", "LOCALHOST:8000", False),
        ("http://example.com", "example.com", False),
        ("http://example.com", "example.com:80", False),
        ("https://example.com", "example.com:443", True),
        ("https://example.com:8443", "example.com:8443", True),
        ("http://[::1]:8000", "[::1]:8000", False),
        ("http://[::1]:8000", "[0:0::1]:8000", False),
        ("http://example.com", "example.com:", False),
        ("http://example.com.", "example.com.", False),
    ],
)
def test_the_gateways_own_pages_pass_with_a_list_and_without(origin: str, host: str, secure: bool) -> None:
    assert Origins().allows(origin, host, secure)
    assert LISTED.allows(origin, host, secure)
    assert Origins(["https://*.example.org"]).allows(origin, host, secure)


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://evil.example", "example.com", False),
        ("http://example.com", "example.com", True),
        ("https://example.com", "example.com", False),
        ("http://example.com:8001", "example.com:8000", False),
        ("http://example.com", "example.com:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://sub.example.com", "example.com", False),
        ("http://example.com", "example.com.", False),
        ("http://example.com.", "example.com", False),
        ("http://example.com", "example.com..", False),
        ("http://10.0.0.7", "10.7", False),
        ("http://example.com", "example.com, evil.example", False),
        ("http://evil.example", "user@evil.example", False),
        ("http://example.com", "", False),
        ("http://example.com", None, False),
        ("null", "null", False),
        ("null", None, False),
    ],
)
def test_without_a_list_other_pages_are_refused(origin: str, host: str | None, secure: bool) -> None:
    assert not Origins().allows(origin, host, secure)


BELOW = Origins(["https://*.Example.com", "http://*.shop.example:8080", "http://*.test"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "HTTPS://App.Example.COM:443",
        "https://a.b.example.com",
        "https://xn--mnchen-3ya.example.com",
        "http://de.shop.example:8080",
        "http://mine.test",
    ],
)
def test_a_pattern_lets_in_every_name_below(origin: str) -> None:
    assert BELOW.allows(origin, HOST, secure=False)


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://evilexample.com",
        "https://evil-example.com",
        "https://app.example.com.evil.example",
        "https://evil.example/.example.com",
        "https://evil.example#.example.com",
        "https://user@evil.example:443.example.com",
        "https://.example.com",
        "https://a..example.com",
        "https://*.example.com",
        "https://app.example.com.",
        "https://app.example.community",
        "http://shop.example:8080",
        "http://de.shop.example",
        "http://de.shop.example:80809",
        "http://test",
        "http://10.0.0.7",
        "null",
    ],
)
def test_a_pattern_lets_in_nothing_else(origin: str) -> None:
    assert not BELOW.allows(origin, HOST, secure=False)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:3000",
        "https://LOCALHOST:3000",
        "http://127.0.0.1:5173",
        "https://127.0.0.1",
        "http://[::1]:5173",
        "http://project.localhost:5173",
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_in_development_pages_of_this_machine_pass_whatever_their_port(origin: str, host: str) -> None:
    assert Origins(dev=True).allows(origin, host, secure=False)
    assert Origins(["https://app.example.com"], dev=True).allows(origin, host, secure=False)
    assert not Origins(["https://app.example.com"]).allows(origin, HOST, secure=False)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost.evil.example:3000",
        "http://evil-localhost:3000",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://0.0.0.0:3000",
        "http://192.168.0.7:3000",
        "http://[::]:3000",
        "http://[fe80::1]:3000",
        "http://127.1:3000",
        "chrome-extension://localhost",
        "ws://localhost:3000",
        "http://localhost:3000/",
        "null",
        "",
    ],
)
def test_in_development_no_other_page_passes(origin: str) -> None:
    assert not Origins(dev=True).allows(origin, "127.0.0.1:8000", secure=False)


@pytest.mark.parametrize(
    ("origins", "origin", "host"),
    [
        (LISTED, "https://Evil.example:443", HOST),
        (BELOW, "http://localhost:3000", HOST),
        (Origins(), "chrome-extension://abcdefgh", HOST),
        (Origins(dev=True), "http://mine.test:5000", "127.0.0.1:8000"),
        (Origins(dev=True), "http://localhost:5000", "mine.test:8000"),
        (Origins(dev=True), "http://mine.test:8000", "mine.test:8000"),
        (Origins(dev=True), "http://mine.test:5000", "mine.test:8000"),
        (Origins(dev=True), "http://mine.test:5000", "other.test:8000"),
        (Origins(dev=True), None, "mine.test:8000"),
    ],
)
def test_the_option_named_lets_in_what_was_refused(origins: Origins, origin: str | None, host: str) -> None:
    def passes(tried: Origins) -> bool:
        return tried.allows(origin, host, secure=False) and tried.answer_to(host)

    assert not passes(origins)
    flag, _, value = origins.remedy(origin, host, secure=False).partition(" ")
    assert flag == "--allowed-origins"
    assert passes(Origins(value.split(","), dev=origins.dev))


@pytest.mark.parametrize("origin", ["null", "https://evil.example/x", "https://app.example.com.", "x\r\ny: z"])
def test_where_no_option_helps_none_is_named(origin: str) -> None:
    assert LISTED.remedy(origin, HOST, secure=True).startswith("none: ")


def test_a_program_is_told_how_to_go_without_an_origin() -> None:
    assert Origins(require_origin=True).remedy(None, HOST, secure=True) == "--no-require-origin"


@pytest.mark.parametrize("origin", ["https://anything.example", "http://10.0.0.7:81", "chrome-extension://abcdefgh"])
def test_the_star_allows_every_origin(origin: str) -> None:
    assert Origins(["*"]).allows(origin, HOST, secure=True)


@pytest.mark.parametrize("origin", ["null", "", "*", "https://evil.example/x", "https://münchen.example"])
def test_the_star_allows_nothing_that_is_no_origin(origin: str) -> None:
    assert not Origins(["*"]).allows(origin, HOST, secure=True)


@pytest.mark.parametrize("allowed", [[], ["*"], ["https://app.example.com"]])
def test_a_program_without_origin_passes_unless_one_is_required(allowed: list[str]) -> None:
    assert Origins(allowed).allows(None, HOST, secure=True)
    assert not Origins(allowed, require_origin=True).allows(None, HOST, secure=True)


def test_an_extension_passes_where_it_is_listed() -> None:
    assert Origins(["chrome-extension://abcdefgh"]).allows("chrome-extension://abcdefgh", HOST, secure=False)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "null",
        "app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://user@app.example.com",
        "https://app.example.*",
        "https://*",
        "https://*.",
        "https://*.com",
        "https://*.*.example.com",
        "https://a.*.example.com",
        "https://a*.example.com",
        "https://*example.com",
        "*.example.com",
        "*://app.example.com",
        "https://*.example.com:*",
        "https://*.example.com/",
        "https://*.example.com.",
        "https://*.0.0.1",
        "http://*.[::1]:8000",
        "wss://*.example.com",
        "https://app.example.com.",
        "https://10.0.0.256",
        "https://10.7",
        "https://[::1",
        "https://[10.0.0.7]",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://app.example.com:port",
        "https://münchen.example",
        " https://app.example.com",
        "https://a.example,https://b.example",
        "wss://app.example.com",
        "ws://app.example.com:8000",
        "^https://.*$",
    ],
)
def test_an_entry_that_is_no_origin_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an origin"):
        Origins(["https://good.example", entry])


@settings(deadline=None)
@given(st.text() | st.from_regex(r"\A[a-z]+://[a-z.:@/\\,*]+\Z"))
def test_no_text_passes_that_is_not_listed(origin: str) -> None:
    assert not Origins(["https://app.example.com"]).allows(origin, HOST, secure=True) or (
        origin.lower() in {"https://app.example.com", "https://app.example.com:443"}
    )


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "a.localhost", "App.example.com:1"])
def test_in_development_a_gateway_answers_to_its_machine_and_to_what_is_listed(host: str) -> None:
    assert Origins(["https://app.example.com"], dev=True).answer_to(host)
    assert Origins(["https://*.example.com"], dev=True).answer_to(host)


@pytest.mark.parametrize("host", [None, "", "evil.example:8000", "localhost.evil.example", "0.0.0.0:8000", "[::]:8000"])
def test_in_development_a_gateway_answers_to_no_other_name(host: str | None) -> None:
    assert not Origins(["https://app.example.com"], dev=True).answer_to(host)
    assert not Origins(dev=True).answer_to(host)


def test_otherwise_a_gateway_answers_to_every_name() -> None:
    assert Origins().answer_to("push.example.com")
    assert Origins(["*"], dev=True).answer_to("push.example.com")
