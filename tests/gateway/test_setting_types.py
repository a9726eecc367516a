"""What people write for a duration, a size, a switch, a list, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from messageflow.core.durations import parse_duration
from messageflow.gateway import setting_types
from messageflow.gateway.setting_types import Kind, parse_origin, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (15, 15.0),
        (0.5, 0.5),
        (0, 0.0),
        ("15", 15.0),
        ("600s", 600.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("500ms", 0.5),
        ("1h30m", 5400.0),
        (" 2.5s ", 2.5),
    ],
)
def test_duration_is_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "soon", "10x", "10 m", "-1", "-1s", -1, float("nan"), "nan", "inf", True, None, [15], "m", "1m2"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [(65536, 65536), ("65536", 65536), ("64KiB", 65536), ("1 MiB", 1048576), ("1GiB", 2**30), ("7B", 7), (0, 0)],
)
def test_size_is_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["64kb", "64K", "-1", -1, 1.5, True, None, "", "1TiB"])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_size(written)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 15.0, 90.0, 600.0, 3600.0, 86400.0])
def test_duration_is_shown_as_it_can_be_read(seconds: float) -> None:
    assert parse_duration(setting_types.DURATION.show(seconds)) == seconds


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 65536, 2**20, 2**28, 2**30])
def test_size_is_shown_as_it_can_be_read(size: int) -> None:
    assert parse_size(setting_types.SIZE.show(size)) == size


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "True", True])
def test_words_that_mean_yes(word: object) -> None:
    assert setting_types.SWITCH.read(word) is True


@pytest.mark.parametrize("word", ["false", "no", "off", "0", "OFF", False])
def test_words_that_mean_no(word: object) -> None:
    assert setting_types.SWITCH.read(word) is False


@pytest.mark.parametrize("word", ["maybe", 1, 0, None, "2"])
def test_what_is_neither_yes_nor_no_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="not"):
        setting_types.SWITCH.read(word)


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


@pytest.mark.parametrize("written", ["a,b", " a , b ,", ["a", "b"], ("a", "b")])
def test_list_comes_from_commas_or_from_an_array(written: object) -> None:
    assert setting_types.TEXTS.read(written) == ("a", "b")


@pytest.mark.parametrize("written", [7, ["a", 7], {"a": 1}])
def test_what_is_no_list_of_texts_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="not"):
        setting_types.TEXTS.read(written)


def test_public_key_is_taken_as_text_or_read_from_its_file(tmp_path: Path) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"
    path = tmp_path / "key.pem"
    path.write_text(pem + "\n")
    assert setting_types.PUBLIC_KEYS.read([pem, str(path)]) == (pem, pem)


def test_public_key_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"key\.pem"):
        setting_types.PUBLIC_KEYS.read(str(tmp_path / "key.pem"))


@pytest.mark.parametrize(
    "kind", [setting_types.TEXT, setting_types.WHOLE, setting_types.PATH, setting_types.choice("a", "b")]
)
def test_a_table_is_no_value_of_any_kind(kind: Kind) -> None:
    with pytest.raises(ValueError, match="not"):
        kind.read({})
