"""What people write for an origin and a public key, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from messageflow.gateway import gateway_kinds
from messageflow.gateway.gateway_kinds import parse_origin


def test_origin_is_written_as_browsers_write_it() -> None:
    assert parse_origin("HTTPS://App.Example.com:443") == "https://app.example.com"


def test_a_star_in_place_of_the_first_labels_stays_what_it_is() -> None:
    assert parse_origin("https://*.Example.com:443") == "https://*.example.com"


def test_star_is_every_origin() -> None:
    assert parse_origin("*") == "*"


@pytest.mark.parametrize("written", ["null", "app.example.com", "https://app.example.com/", "https://*.com", 7])
def test_what_is_no_origin_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_origin(written)


def test_public_key_is_taken_as_text_or_read_from_its_file(tmp_path: Path) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"
    path = tmp_path / "key.pem"
    path.write_text(pem + "\n")
    assert gateway_kinds.PUBLIC_KEYS.read([pem, str(path)]) == (pem, pem)


def test_public_key_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"key\.pem"):
        gateway_kinds.PUBLIC_KEYS.read(str(tmp_path / "key.pem"))


def test_a_table_is_no_path() -> None:
    with pytest.raises(ValueError, match="not"):
        gateway_kinds.PATH.read({})
