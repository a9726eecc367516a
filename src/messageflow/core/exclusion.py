"""Whom a publication is not for: a client by the id of its connection, of now or of one that broke before.

The excluded client's stream moves on all the same: in the place of what is left out it is told how far, so that it
finds no gap, and does not ask for it when it comes back.

Pure. Owns this rule, for what is live and for what is recovered alike; who sends calls it where anybody is excluded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from messageflow.core.protocol import Moved
from messageflow.core.stream import Publication

CLIENT_BYTES = 64  # of the id of a client; ours have 22
MOST_FORMER = 8  # connections before this one by which a client is still known


class Identified(Protocol):
    """A client as it may be named."""

    @property
    def client(self) -> str:
        """The id of its connection."""

    @property
    def former(self) -> Collection[str]:
        """The ids of its connections before, as it says."""


T = TypeVar("T", bound=Identified)


def is_client_id(text: str) -> bool:
    """Whether this can be the id of a client: it travels between words."""
    return 0 < len(text) <= CLIENT_BYTES and text.isascii() and text.isprintable() and " " not in text


def is_named(client: Identified, names: Collection[str]) -> bool:
    """Whether one of these ids is the client's."""
    return client.client in names or any(former in names for former in client.former)


def collect_excluded(publications: Iterable[Publication]) -> frozenset[str]:
    """Return the ids of all that any of these publications is not for."""
    return frozenset([publication.exclude for publication in publications if publication.exclude])


def list_excluded(clients: Iterable[T], publications: Iterable[Publication]) -> list[T]:
    """Return those of the clients that any of these publications is not for."""
    names = collect_excluded(publications)
    return [client for client in clients if client.client in names or (client.former and is_named(client, names))]


def leave_out(publications: Sequence[Publication], client: Identified) -> list[Publication | Moved]:
    """Return what a client is sent: in the place of what is not for it how far the stream has moved."""
    sent: list[Publication | Moved] = []
    for publication in publications:
        if not (publication.exclude and is_named(client, (publication.exclude,))):
            sent.append(publication)
        elif publication.offset:
            count, last = 1, sent[-1] if sent else None
            if isinstance(last, Moved):
                count += last.count
                sent.pop()
            sent.append(Moved(publication.offset, publication.tag, count))
    return sent
