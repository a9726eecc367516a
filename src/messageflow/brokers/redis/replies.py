"""Commands as they are sent, and replies that are errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hiredis import pack_command

from messageflow.brokers.redis.refusals import refusal
from messageflow.errors import BrokerError

Value = bytes | str | int | float
Parts = tuple[Value, ...]

packed: Callable[[Parts], bytes] = pack_command  # type: ignore[assignment]  # as it is sent

NOT_NOW = ("LOADING", "BUSY", "MASTERDOWN")  # nothing was carried out, and will be in a while
NO_ROOM = (
    "OOM",
    "READONLY",
    "MISCONF",
    "NOREPLICAS",
)  # it takes no writes: full, a replica, cannot save, too few copies


class Command(NamedTuple):
    """What is sent, and the key by which it is known where to."""

    key: str
    parts: Parts


class Refused(BrokerError):
    """Redis answered with an error.

    Args:
        text: as it came, beginning with the word that says what kind it is.

    Attributes:
        word: that word, such as `NOSCRIPT`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"Redis refuses: {refusal(text)}")
        self.text = text
        self.word = text.partition(" ")[0]


def pairs(flat: Sequence[Any]) -> dict[bytes, bytes]:
    """Return a flat list of names and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
