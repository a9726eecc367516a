"""What the calls of `Flow` and `AsyncFlow` return: frozen values, as the server API names them.

Owns no behaviour. A field the gateway leaves out has the value that says "none". Where what is read differs from what
is written, since payloads are values here and bytes there, a test holds the fields equal to those of `api.answers`.

`ClientInfo`, `Position` and `Publication` have the names of those in `core` on purpose: an application says the same
words as the protocol, and never sees the others. A field of theirs, or of `Receipt`, stands here and in the shape that
is written: `core.client_info`, `core.protocol`, `api.answers` with `make_receipt` of `api.publishing`.
"""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from messageflow.api.answers import HistoryAnswer, PresenceAnswer, ReceiptAnswer
from messageflow.api.answers import Node as Node
from messageflow.api.answers import PresenceStats as PresenceStats


class Position(msgspec.Struct, frozen=True):
    """A point in a stream: just after the publication with this offset, in this life (epoch) of the stream."""

    offset: int = 0
    epoch: str = ""


class PagePosition(TypedDict):
    """A point in a stream as a page takes it: a `Position` with the tag there, ready to be written as JSON."""

    epoch: str
    offset: int
    tag: str


class Receipt(msgspec.Struct, frozen=True):
    """Says that a publication was stored, and where.

    Args:
        channel: the channel it was published in; `#alice` is the personal channel of alice, `*` is everyone.
        offset: its number in the stream, from 1; 0 in a channel that keeps no history.
        epoch: the life of the stream the offset belongs to.
        tag: a short hash chained over the stream up to here.
        ack: what "stored" means: `memory`, `os`, `disk` or `replicated`; `pending` is not stored yet, in a transaction.
    """

    channel: str = ""
    offset: int = 0
    epoch: str = ""
    tag: str = ""
    ack: str = "memory"

    @property
    def position(self) -> Position:
        """The point just after this publication, for `history(since=…)`."""
        return Position(self.offset, self.epoch)


class ClientInfo(msgspec.Struct, frozen=True):
    """One connected client.

    Args:
        user: who it authenticated as; empty for an anonymous one.
        client: the identifier of the session.
        conn_info: what the connection token's `info` says.
        chan_info: what the subscription token's `info` says.
    """

    user: str = ""
    client: str = ""
    conn_info: Any = None
    chan_info: Any = None


class Publication(msgspec.Struct, frozen=True):
    """One item of a channel's history. `info` is the client that published it, None when a backend did."""

    data: Any = None
    offset: int = 0
    tag: str = ""
    info: ClientInfo | None = None
    tags: dict[str, str] | None = None


class History(msgspec.Struct, frozen=True):
    """A part of a stream, and the position of its newest publication (not of the last one in this part)."""

    publications: tuple[Publication, ...] = ()
    offset: int = 0
    epoch: str = ""
    tag: str = ""

    @property
    def position(self) -> Position:
        """The top of the stream."""
        return Position(self.offset, self.epoch)


class Present(msgspec.Struct, frozen=True):
    """Who is subscribed to a channel, by session."""

    presence: dict[str, ClientInfo] = {}


READ_AS: dict[type[msgspec.Struct], type[msgspec.Struct]] = {
    ReceiptAnswer: Receipt,
    HistoryAnswer: History,
    PresenceAnswer: Present,
}
"""What is read here of what the API answers, where it is not the very shape."""
