"""The opening handshake: the answer to every request, ordinary or not."""

from __future__ import annotations

import re

import pytest

from messageflow.dialects.base import Dialect
from messageflow.dialects.native import NATIVE
from messageflow.dialects.protobuf import PROTOBUF
from messageflow.gateway.front_door.head import parse_head
from messageflow.gateway.handshake import Answer, answer_handshake, origin_of
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Forwarded

PATH = "/connection/websocket"
BROWSER: dict[str, str | None] = {
    "host": "push.example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"  # for that key, RFC 6455 §1.3
CAME = Forwarded("203.0.113.7", "push.example.com", secure=True)


def answer(changes: dict[str, str | None] | None = None, path: str = PATH, *more: tuple[str, str]) -> Answer:
    """Return what is answered to who asks as a browser does, but for some headers; None leaves one out."""
    headers = [(name, value) for name, value in (BROWSER | (changes or {})).items() if value is not None]
    lines = (f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*headers, *more]), "", "")
    head = parse_head("\r\n".join(lines).encode("latin-1"))
    return answer_handshake(head, origin_of(head.fields), Origins(["https://app.example.com"]), CAME)


def ask(changes: dict[str, str | None] | None = None, path: str = PATH, *more: tuple[str, str]) -> tuple[int, bytes]:
    """Return status and bytes of it."""
    return answer(changes, path, *more)[:2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upgrade": "WebSocket"},
        {"connection": "keep-alive, Upgrade"},
        {"origin": "https://app.example.com"},
        {"sec-websocket-extensions": "permessage-deflate; client_max_window_bits"},
    ],
)
def test_what_browsers_ask_for_is_opened(changes: dict[str, str | None]) -> None:
    status, data = ask(changes)
    assert status == 101
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert ACCEPT in head + b"\r\n"
    assert b"Sec-WebSocket-Extensions" not in head
    assert b"Sec-WebSocket-Protocol" not in head
    assert rest == b""


@pytest.mark.parametrize(
    "offered", ["centrifuge-json", "other, centrifuge-json", "centrifuge-json, centrifuge-protobuf"]
)
def test_the_protocol_that_is_spoken_here_is_taken_where_it_is_offered(offered: str) -> None:
    status, data = ask({"sec-websocket-protocol": offered})
    assert status == 101
    assert b"\r\nSec-WebSocket-Protocol: centrifuge-json\r\n" in data
    assert ACCEPT in data


@pytest.mark.parametrize(
    ("query", "offered", "named", "dialect"),
    [
        ("", None, None, NATIVE),
        ("", "centrifuge-protobuf", "centrifuge-protobuf", PROTOBUF),
        ("", "centrifuge-protobuf, centrifuge-json", "centrifuge-protobuf", PROTOBUF),
        ("", "other, centrifuge-protobuf", "centrifuge-protobuf", PROTOBUF),
        ("?format=protobuf", None, None, PROTOBUF),
        ("?a=b&cf_protocol=protobuf&c", None, None, PROTOBUF),
        ("?cf_protocol=protobuf", "centrifuge-protobuf", "centrifuge-protobuf", PROTOBUF),
        ("?format=protobuf", "centrifuge-json", "centrifuge-json", PROTOBUF),
        ("?format=protobuf", "other, centrifuge-json", "centrifuge-json", PROTOBUF),
        ("?format=json", "centrifuge-protobuf", "centrifuge-protobuf", PROTOBUF),
        ("?format=protobufs&xformat=protobuf", None, None, NATIVE),
    ],
)
def test_protobuf_is_spoken_where_it_is_asked_for(
    query: str, offered: str | None, named: str | None, dialect: Dialect
) -> None:
    answered = answer({"sec-websocket-protocol": offered}, PATH + query)
    assert (answered.status, answered.dialect) == (101, dialect)
    assert re.findall(rb"\r\nSec-WebSocket-Protocol: (.*)\r\n", answered.data) == ([named.encode()] if named else [])
    assert ACCEPT in answered.data


def test_a_protocol_that_is_not_spoken_here_is_answered_with_a_close_that_is_final() -> None:
    status, data = ask({"sec-websocket-protocol": "nonsense, other"})
    assert status == 101
    head, _, frame = data.partition(b"\r\n\r\n")
    assert b"Sec-WebSocket-Protocol: nonsense" in head  # a browser fails at once where none is named
    assert frame[:1] == b"\x88"
    assert frame[1] == len(frame) - 2 <= 125
    assert int.from_bytes(frame[2:4], "big") == 3506
    assert frame[4:].decode().startswith("inappropriate protocol: only centrifuge-json")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"sec-websocket-key": None}, 400),
        ({"sec-websocket-key": "c2hvcnQ="}, 400),
        ({"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZ!=="}, 400),
        ({"sec-websocket-key": "\xff" * 24}, 400),
        ({"sec-websocket-version": "12"}, 400),
        ({"sec-websocket-version": None}, 400),
        ({"connection": "close"}, 426),
        ({"upgrade": "h2c"}, 426),
    ],
)
def test_what_is_not_a_handshake_is_refused(changes: dict[str, str | None], status: int) -> None:
    found, data = ask(changes)
    assert found == status
    assert b"Sec-WebSocket-Accept" not in data


def test_a_key_that_comes_twice_is_refused() -> None:
    assert ask({}, PATH, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="))[0] == 400


@pytest.mark.parametrize("second", ["https://evil.example", "https://app.example.com"])
def test_two_origins_are_none(second: str) -> None:
    status, data = ask({"origin": "https://app.example.com"}, PATH, ("origin", second))
    assert status == 403
    assert b"allowed_origins" in data


def test_an_origin_that_is_not_listed_is_told_what_to_set() -> None:
    status, data = ask({"origin": "https://evil.example"})
    assert status == 403
    assert b"MESSAGEFLOW_ALLOWED_ORIGINS" in data
    assert b"evil.example" not in data


@pytest.mark.parametrize("path", [f"{PATH}?token=secret", f"{PATH}?a=1&access_token=secret"])
def test_a_token_in_the_url_is_refused_and_not_repeated(path: str) -> None:
    status, data = ask({}, path)
    assert status == 400
    assert b"never goes into a URL" in data
    assert b"secret" not in data


def test_other_parameters_are_left_alone() -> None:
    assert ask({}, f"{PATH}?v=1")[0] == 101
