"""What the demo says about a file is true, wherever the pieces happen to end, and costs bounded memory."""

from __future__ import annotations

import hashlib
import io
from collections import Counter

import pytest
import reading
from hypothesis import given
from hypothesis import strategies as st
from reading import AROUND_WORDS, LONGEST_WORD, Summary, Words, summarize


def last(content: bytes) -> Summary:
    """Return what is known of a file at the end."""
    *_, summary = summarize(io.BytesIO(content), len(content))
    return summary


@pytest.mark.parametrize(
    ("content", "lines", "words"),
    [
        (b"", 0, 0),
        (b"\n", 1, 0),
        (b"one", 1, 1),
        (b"one\n", 1, 1),
        (b"one two\nthree", 2, 3),
        (b"  one\r\n\r\n two \r\n", 3, 2),
        (b"a\xff b\xc3", 1, 2),
    ],
)
def test_lines_and_words(content: bytes, lines: int, words: int) -> None:
    summary = last(content)
    assert (summary.lines, summary.words, summary.percent) == (lines, words, 100)
    assert summary.sha256 == hashlib.sha256(content).hexdigest()


def test_the_most_frequent_words_differ_in_more_than_case_and_punctuation() -> None:
    summary = last("The dog, the “dog” and THE dog's tail -- the end.".encode())
    assert summary.most_frequent[:2] == (("the", 4), ("dog", 2))
    assert ("", 1) not in summary.most_frequent
    assert not summary.approximate


@given(text=st.text(alphabet="aé \n.", max_size=60), size=st.integers(1, 7))
def test_it_does_not_matter_where_pieces_end(text: str, size: int) -> None:
    content = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", size)
        summary = last(content)
    words = Counter(filter(None, (word.strip(AROUND_WORDS) for word in text.split())))
    assert summary.words == len(text.split())
    assert summary.lines == len(io.BytesIO(content).readlines())
    assert dict(summary.most_frequent) == {word: words[word] for word, _ in summary.most_frequent}
    assert [count for _, count in summary.most_frequent] == sorted(words.values(), reverse=True)[:5]


def test_an_endless_word_counts_once_and_only_its_beginning_is_kept() -> None:
    words = Words()
    for _ in range(100):
        words.feed("x" * 1000)
    words.feed(" end ")
    assert words.total == 2
    assert words.most_frequent(5) == [("x" * LONGEST_WORD, 1), ("end", 1)]


def test_of_too_many_different_words_the_rare_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_WORDS", 100)
    words = Words()
    for number in range(1000):
        words.feed(f"often {number} ")
    assert words.approximate
    assert words.total == 2000
    assert words.most_frequent(1) == [("often", 1000)]
    assert len(words.most_frequent(1000)) <= 100


def test_progress_is_told_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 10)
    assert [summary.percent for summary in summarize(io.BytesIO(b"x" * 40), 40)] == [25, 50, 75, 100, 100]
