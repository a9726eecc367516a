"""What people write for a duration, a size, a switch, a list, and what comes of it."""

from __future__ import annotations

import pytest

from messageflow.core import setting_kinds
from messageflow.core.durations import parse_duration
from messageflow.core.setting_kinds import Kind, parse_size


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
    assert parse_duration(setting_kinds.DURATION.show(seconds)) == seconds


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 65536, 2**20, 2**28, 2**30])
def test_size_is_shown_as_it_can_be_read(size: int) -> None:
    assert parse_size(setting_kinds.SIZE.show(size)) == size


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "True", True])
def test_words_that_mean_yes(word: object) -> None:
    assert setting_kinds.SWITCH.read(word) is True


@pytest.mark.parametrize("word", ["false", "no", "off", "0", "OFF", False])
def test_words_that_mean_no(word: object) -> None:
    assert setting_kinds.SWITCH.read(word) is False


@pytest.mark.parametrize("word", ["maybe", 1, 0, None, "2"])
def test_what_is_neither_yes_nor_no_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="not"):
        setting_kinds.SWITCH.read(word)


@pytest.mark.parametrize("written", ["a,b", " a , b ,", ["a", "b"], ("a", "b")])
def test_list_comes_from_commas_or_from_an_array(written: object) -> None:
    assert setting_kinds.TEXTS.read(written) == ("a", "b")


@pytest.mark.parametrize("written", [7, ["a", 7], {"a": 1}])
def test_what_is_no_list_of_texts_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="not"):
        setting_kinds.TEXTS.read(written)


@pytest.mark.parametrize("kind", [setting_kinds.TEXT, setting_kinds.WHOLE, setting_kinds.choice("a", "b")])
def test_a_table_is_no_value_of_any_kind(kind: Kind) -> None:
    with pytest.raises(ValueError, match="not"):
        kind.read({})
