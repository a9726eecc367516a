"""docs/limits.md has every code the gateway sends and no other, and the limits are those of the settings."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from websockets.frames import CloseCode

from messageflow.api.bounds import MOST_CALLS
from messageflow.core import codes
from messageflow.core.codes import Disconnect, ErrorCode, Unsubscribe
from messageflow.errors import TokenReason
from messageflow.gateway.settings_loading import OPTIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "limits.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (ROOT / "src" / "messageflow").rglob("*.py") if path.name != "codes.py")


def sent(kind: type[Disconnect] | type[ErrorCode]) -> dict[int, str]:
    """Return the codes of one kind that the gateway sends."""
    named = {name: each for name, each in vars(codes).items() if isinstance(each, kind)}
    numbers = {int(code) for code in re.findall(r"\berror\((\d{3}),", SOURCE)} if kind is ErrorCode else set[int]()
    used = [each for name, each in named.items() if re.search(rf"(?<!\.)\b{name}\b", SOURCE) or each.code in numbers]
    return {each.code: each[1] for each in used}


def section(heading: str) -> str:
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def told(heading: str) -> dict[int, str]:
    """Return the codes of a section and what is said of each."""
    return {
        int(code): text for code, text in re.findall(r"^\| (\d{3,4}) \| ([^|]+) \|", section(heading), re.MULTILINE)
    }


def test_the_close_codes_are_those_that_are_sent() -> None:
    rows = told("Close codes")
    of_websockets = {CloseCode[name].value for name in re.findall(r"self\.fail\(CloseCode\.(\w+)", SOURCE)}
    unsubscribes = {each.code for each in vars(codes).values() if isinstance(each, Unsubscribe)}
    assert set(rows) == set(sent(Disconnect)) | {3503} | of_websockets | unsubscribes
    for code, reason in sent(Disconnect).items():
        assert reason.split(":")[0] in rows[code]


def test_the_error_codes_are_those_that_are_sent() -> None:
    rows = told("Error codes")
    assert set(rows) == set(sent(ErrorCode))
    for code, message in sent(ErrorCode).items():
        assert message in rows[code]


def test_each_limit_has_the_default_it_says() -> None:
    settings = {option.name: option.default for option in OPTIONS}
    rows = dict(re.findall(r"`(\w+)` \| ([^|]+) \|", TEXT))
    numbers = {name: text.replace(",", "").split()[0] for name, text in rows.items()}
    for name in ("connections_per_user", "unauthenticated_per_address", "arrivals_limit", "channels_per_connection"):
        assert int(numbers[name]) == settings[name]
    assert int(numbers["commands_per_second"]) == settings["commands_per_second"]
    for name, factor in (("buffer_high_water", 1 << 10), ("payload_size_limit", 1 << 10), ("buffer_memory", 1 << 20)):
        assert int(numbers[name]) * factor == settings[name]
    assert settings["token_lifetime_limit"] == 86400
    assert f"{MOST_CALLS:,}" in section("What a publisher meets")
    patience = (settings["handshake_timeout"], settings["connect_timeout"], settings["pong_timeout"])
    assert patience == (5, 10, 10)


def test_every_status_of_http_is_there() -> None:
    patterns = (
        r"^    \w+: ([45]\d\d),",
        r"\breturn ([45]\d\d),",
        r"status=([45]\d\d)\b",
        r"\), ([45]\d\d)(?=[,)])",
        r"\"\w[^\"\n]*\", ([45]\d\d)\)",
    )
    numbers = {int(code) for pattern in patterns for code in re.findall(pattern, SOURCE, re.MULTILINE)}
    named = {HTTPStatus[name].value for name in re.findall(r"HTTPStatus\.([A-Z_]+)", SOURCE)}
    assert {each for each in numbers | named if each >= 400} <= set(told("What HTTP answers"))


def test_every_reason_to_refuse_a_token_is_there() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Why a token is refused"), re.MULTILINE) == list(TokenReason)
