"""Fossil deltas: the bytes of the format, the law that applying gives back, and whatever else is handed in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.core.fossil import MalformedDelta, apply, create

LETTERS = b"abcdefghijklmnopqrstuvwxyz"
ROWS = [{"id": n, "name": f"row {n}", "state": "waiting"} for n in range(40)]


def encode(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("source", "target", "delta"),
    [
        (b"", b"", b"0\n0;"),
        (b"", b"abc", b"3\n3:abc1XObC0;"),
        (LETTERS, LETTERS, b"Q\nQ@0,3z192K;"),
        (LETTERS, b"ABC" + LETTERS, b"T\n3:ABCQ@0,15picw;"),
        (LETTERS, LETTERS[:13] + b"-" + LETTERS[13:], b"R\nD@0,1:-D@D,3vlGUH;"),
        (b"x" * 70, b"x" * 64, b"10\n10@0,27XtU0;"),
        (b"short", b"short!", b"6\n6:short!3cYMyn;"),
    ],
)
def test_a_delta_is_what_the_format_says(source: bytes, target: bytes, delta: bytes) -> None:
    assert create(source, target) == delta
    assert apply(source, delta) == target


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[20].update(state="done"),
        lambda rows: rows.pop(11),
        lambda rows: rows.insert(3, {"id": 99, "name": "another", "state": "new"}),
        lambda rows: (rows[0].update(id=7), rows[39].update(id=8), rows[21].update(name="日本語")),
    ],
)
def test_a_small_change_takes_a_small_delta(change: object) -> None:
    rows = [dict(row) for row in ROWS]
    change(rows)  # type: ignore[operator]
    delta = create(encode(ROWS), encode(rows))
    assert apply(encode(ROWS), delta) == encode(rows)
    assert len(delta) < 120 < len(encode(rows)) / 10


def test_what_is_alike_at_neither_end_is_found_between() -> None:
    source, target = encode(ROWS), b"begins anew, " + encode(ROWS[10:30])[1:-1] + b" and ends so"
    assert len(create(source, target)) < len(target) / 5


parts = st.sampled_from(
    [b"0123456789abcdef", b'{"id":1,"name":"', b"\xe6\x97\xa5\xe6\x9c\xac", b"x" * 20, b"\xff", b""]
)


def test_a_copy_ends_where_a_character_does() -> None:
    source, target = "a copy of some length: 日", "a copy of some length: 本"
    delta = create(source.encode(), target.encode())
    assert delta.decode().startswith("Q\nN@0,")
    assert apply(source.encode(), delta) == target.encode()


def test_no_more_comes_out_than_may() -> None:
    delta = create(b"abc", b"abc" * 100)
    assert len(apply(b"abc", delta, 300)) == 300
    with pytest.raises(MalformedDelta):
        apply(b"abc", delta, 299)


pieces = st.lists(st.one_of(parts, st.binary(max_size=40)), max_size=20).map(b"".join)


@settings(max_examples=40)
@given(pieces, pieces)
def test_applying_gives_back_what_it_was_made_for(source: bytes, target: bytes) -> None:
    assert apply(source, create(source, target)) == target


texts = st.lists(st.sampled_from(["0123456789abcdef", "日本語", "é", "zoé ", "🙂🙃", "\u0600"]), max_size=30).map(
    "".join
)


@settings(max_examples=40)
@given(texts, texts)
def test_between_texts_it_is_a_text(source: str, target: str) -> None:
    delta = create(source.encode(), target.encode())
    assert apply(source.encode(), delta.decode().encode()) == target.encode()


@settings(max_examples=40)
@given(pieces, pieces, st.data())
def test_what_was_tampered_with_is_refused_or_gives_the_same(source: bytes, target: bytes, data: st.DataObject) -> None:
    delta = bytearray(create(source, target))
    delta[data.draw(st.integers(0, len(delta) - 1))] = data.draw(st.integers(0, 255))
    try:
        made = apply(source, bytes(delta))
    except MalformedDelta:
        return
    assert len(made) == len(target)  # one changed byte of text is found by the sum, but not two that outweigh


@settings(max_examples=40)
@given(st.binary(max_size=200), st.one_of(st.binary(max_size=60), st.from_regex(rb"[0-9A~\n@:,;]{0,60}")))
def test_anything_is_applied_or_refused(source: bytes, delta: bytes) -> None:
    try:
        assert len(apply(source, delta, 1000)) <= 1000
    except MalformedDelta:
        pass


@pytest.mark.parametrize(
    "delta",
    [
        b"",
        b"3\n3:abc",
        b"3\n3:ab",
        b"4\n3:abc1XObC0;",
        b"2\n3:abc1XObC0;",
        b"3\n3:abc1XObC1;",
        b"3\n3:abc1XObC0;;",
        b"3\n3@0;1XObC0;",
        b"3\n3@z,1XObC0;",
        b"~~~~~\n~~~~~@0,0;",
        b"1111111\n0;",
    ],
)
def test_what_is_no_delta_or_not_of_this_source_is_refused(delta: bytes) -> None:
    with pytest.raises(MalformedDelta):
        apply(b"abcdef", delta)
