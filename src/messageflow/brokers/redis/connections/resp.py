"""Commands as they are sent, and replies that are errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hiredis import pack_command

from messageflow.brokers.redis.connections.error_messages import explain_error_reply
from messageflow.errors import BrokerError

Value = bytes | str | int | float
Parts = tuple[Value, ...]

pack: Callable[[Parts], bytes] = pack_command  # type: ignore[assignment]  # as it is sent

NOT_NOW = ("LOADING", "BUSY", "MASTERDOWN")  # nothing was carried out, and will be in a while
NOT_HERE = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "CROSSSLOT")  # its slot is elsewhere, or on its way
NO_ROOM = (
    "OOM",
    "READONLY",
    "MISCONF",
    "NOREPLICAS",
)  # it takes no writes: full, a replica, cannot save, too few copies


class RedisCommand(NamedTuple):
    """What is sent, and the key by which it is known where to.

    `announces` says that carrying it out announces something, which has to happen where subscribers hear it.
    """

    key: str
    parts: Parts
    announces: bool = False


class Announcing(NamedTuple):
    """How something is announced at a server.

    Args:
        command: that announces.
        ending: what names end with there. Pub/Sub knows no databases, so the database is part of the name.
    """

    command: str
    ending: str = ""

    def to_command(self, name: str, message: bytes) -> RedisCommand:
        """Return the command that announces a message under a name."""
        return RedisCommand(name, (self.command, name + self.ending, message), announces=True)

    def to_subscribe(self, name: str) -> Parts:
        """Return the command that hears a name from then on."""
        return (self.command.replace("PUBLISH", "SUBSCRIBE"), name + self.ending)


class ErrorReply(BrokerError):
    """Redis answered with an error.

    Args:
        text: as it came, beginning with the word that says what kind it is.

    Attributes:
        word: that word, such as `NOSCRIPT`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"Redis refuses: {explain_error_reply(text)}")
        self.text = text
        self.word = text.partition(" ")[0]


def to_dict(flat: Sequence[Any]) -> dict[bytes, bytes]:
    """Return a flat list of names and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
