"""Reads a file piece by piece: its lines, its words, the words that come most often, its SHA-256.

Knows nothing of the web. Memory stays bounded whatever the file: a word without end is cut, and when there are too
many different words the rare ones are forgotten, which the result says.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 256 * 1024  # bytes read at a time
LONGEST_WORD = 64  # characters; what is longer counts as its beginning
MOST_WORDS = 100_000  # different words kept while counting

_WORD = re.compile(r"\w+")


@dataclass
class Summary:
    """What is known of a file so far."""

    size: int
    read: int = 0
    lines: int = 0
    words: int = 0
    sha256: str = ""
    approximate: bool = False
    most_frequent: list[tuple[str, int]] = field(default_factory=list)

    @property
    def percent(self) -> int:
        return 100 * self.read // self.size if self.size else 100


def read(path: Path) -> Iterator[Summary]:
    """Yield a summary after each piece; the last one is whole.

    Args:
        path: the file, of any size and content. What is not UTF-8 is counted as it looks.
    """
    summary = Summary(path.stat().st_size)
    digest, counts, rest = hashlib.sha256(), Counter[str](), ""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            summary.read += len(piece)
            summary.lines += piece.count(b"\n")
            text = rest + piece.decode(errors="replace").lower()
            rest = _unfinished(text)
            _count(text[: len(text) - len(rest)], counts, summary)
            yield summary
    _count(rest, counts, summary)
    summary.sha256 = digest.hexdigest()
    summary.most_frequent = counts.most_common(5)
    yield summary


def _unfinished(text: str) -> str:
    """The word that the end of a piece may have cut in two."""
    tail = text[-LONGEST_WORD:]
    last = re.search(r"\w+\Z", tail)
    return last.group() if last and len(last.group()) < LONGEST_WORD else ""


def _count(text: str, counts: Counter[str], summary: Summary) -> None:
    words = [word[:LONGEST_WORD] for word in _WORD.findall(text)]
    summary.words += len(words)
    counts.update(words)
    if len(counts) > MOST_WORDS:
        summary.approximate = True
        for word, _ in counts.most_common()[MOST_WORDS // 2 :]:
            del counts[word]
