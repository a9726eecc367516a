"""Reads a file piece by piece: its lines, its words, the words that come most often, its SHA-256.

Knows nothing of the web. Memory stays bounded whatever the file: a word without end is cut, and when there are too
many different words the rare ones are forgotten, which the result says.
"""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

PIECE = 256 * 1024  # bytes read at a time
LONGEST_WORD = 64  # characters; what is longer counts as its beginning
MOST_WORDS = 100_000  # different words kept while counting
AROUND_WORDS = ".,;:!?…\"'`“”‘’«»()[]{}<>*_#|=+/\\—–-"


@dataclass
class Summary:
    """What is known of a file so far."""

    size: int
    read: int = 0
    lines: int = 0
    words: int = 0
    sha256: str = ""
    most_frequent: tuple[tuple[str, int], ...] = ()
    approximate: bool = False  # whether there were too many different words to count every one of them

    @property
    def percent(self) -> int:
        return min(100, 100 * self.read // self.size) if self.size else 100


def summarize(file: BinaryIO, size: int) -> Iterator[Summary]:
    """Yield the same summary again and again, one piece of the file further each time; the last one is whole.

    A last line counts without its line feed too. Words are what stands between spaces, as for `wc`; for the most
    frequent ones case and punctuation do not count. Bytes that are not UTF-8 stand for one odd character each.

    Args:
        file: open for reading bytes, of any size and content.
        size: its size in bytes, for the percentage.
    """
    summary, words, digest, last = Summary(size), Words(), hashlib.sha256(), b""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while piece := file.read(PIECE):
        digest.update(piece)
        summary.read += len(piece)
        summary.lines += piece.count(b"\n")
        words.feed(decoder.decode(piece))
        summary.words, last = words.total, piece[-1:]
        yield summary
    words.feed(decoder.decode(b"", final=True) + "\n")
    summary.lines += last not in (b"", b"\n")
    summary.words, summary.approximate = words.total, words.approximate
    summary.most_frequent = tuple(words.most_frequent(5))
    summary.sha256 = digest.hexdigest()
    yield summary


class Words:
    """Counts words of a text that comes in pieces."""

    def __init__(self) -> None:
        self.total = 0
        self.approximate = False
        self._counts = Counter[str]()
        self._unfinished = ""  # the beginning of the word that the last piece may have cut in two

    def feed(self, text: str) -> None:
        text = self._unfinished + text.lower()
        words = text.split()
        # A word without end stays unfinished, piece after piece: only its beginning is kept, and it counts once.
        self._unfinished = words.pop()[:LONGEST_WORD] if words and not text[-1].isspace() else ""
        self.total += len(words)
        self._counts.update(word[:LONGEST_WORD].strip(AROUND_WORDS) for word in words)
        if len(self._counts) > MOST_WORDS:
            self.approximate = True
            self._counts = Counter(dict(self._counts.most_common(MOST_WORDS // 2)))

    def most_frequent(self, number: int) -> list[tuple[str, int]]:
        del self._counts[""]  # what was punctuation only
        return self._counts.most_common(number)
