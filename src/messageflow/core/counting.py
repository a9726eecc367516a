"""How a counter is declared: a field of a dataclass that says in words what it counts.

`count("…")` is a plain integer, raised by `+= 1` on hot paths; `count_by("method", "…")` has one for each value of a
label. A room declares its counters in one class, and `/metrics` is made of that: `messageflow_<field>_total`.

Pure. Counts nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import field, fields
from typing import Any, NamedTuple

_MEANING = "meaning"


class Meaning(NamedTuple):
    """What a field counts.

    Args:
        help: one sentence, shown by `/metrics`.
        label: by whose values it counts; empty: one figure.
    """

    help: str
    label: str = ""


def count(help_text: str) -> Any:
    """Return a field that counts from 0."""
    return field(default=0, metadata={_MEANING: Meaning(help_text)})


def count_by(label: str, help_text: str) -> Any:
    """Return a field that counts each value of a label from 0."""
    return field(default_factory=Counter, metadata={_MEANING: Meaning(help_text, label)})


def list_counters(room: type[Any]) -> Iterator[tuple[str, Meaning]]:
    """Yield the name and the meaning of every counter that a dataclass declares."""
    for each in fields(room):
        if _MEANING in each.metadata:
            yield each.name, each.metadata[_MEANING]
