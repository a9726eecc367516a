"""The contract of a dialect: the language a client speaks, as bytes to commands and answers and pushes to bytes.

The comments are obligations of every implementation. A dialect is pure and shared by all who speak it; it knows
neither frames nor sessions. A transport cuts bytes into messages and puts messages into frames; what a message says is
the dialect's. A new one is a module of its own and a line in `dialects.table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from messageflow.core.codes import ErrorCode
from messageflow.core.protocol import Command, FaultyCommand, Push, Result
from messageflow.core.stream import Publication


class MalformedMessage(ValueError):
    """The message is not a sequence of commands; the text says why, for the log."""


class TooManyCommands(ValueError):
    """One message holds more commands than it may."""


class Encoder(Protocol):
    """Everything a session is sent, as messages. The data of a publication goes through as it came."""

    @property
    def ping(self) -> bytes:
        """The question whether the client is there. Never the beginning of another message."""

    def publication(self, channel: str, publication: Publication) -> bytes:
        """What was published in a channel."""

    def push(self, channel: str, push: Push) -> bytes:
        """Something else the client did not ask for; an empty channel stands for the connection itself."""

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        """The answer to a command that was carried out."""

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        """The answer to a command that was refused."""

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Several of the above, at least one, as one message that says the same in the same order."""


@runtime_checkable
class PatchEncoder(Encoder, Protocol):
    """An encoder that can say of a publication what changed, for clients that asked for it."""

    def patch(self, channel: str, publication: Publication, patch: bytes | None) -> bytes:
        """What was published in a channel, for who knows what was published before.

        `patch` is a fossil delta (`core.fossil`) that makes the data of the one before the data of this; None: it is
        written whole, in a form that the next can be made of. A delta between texts is a text.
        """


class Dialect(Protocol):
    """One wire language."""

    @property
    def encoder(self) -> Encoder:
        """What writes it."""

    @property
    def name(self) -> str:
        """What it is called where sessions are counted."""

    @property
    def is_text(self) -> bool:
        """Whether its messages are UTF-8, for transports that tell text from binary."""

    @property
    def pong(self) -> bytes:
        """The whole message that answers a ping."""

    def decode(self, message: bytes, most: int) -> list[Command | FaultyCommand]:
        """Return the commands in a message, in order, at least one.

        One that can be answered although its content is wrong comes as a `FaultyCommand`: what is wrong with it is no
        fault of its neighbours.

        Args:
            message: as the client sent it, of any content.
            most: commands that it may hold; more are refused before they cost anything.

        Raises:
            MalformedMessage: one of them is nothing that could be answered.
            TooManyCommands: there are more than `most`.
        """
