"""How sessions are connected: how many by which transport, in which dialect.

Counted when somebody asks, so that a connect costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from messageflow.hub.session import Session


def count_kinds(sessions: Iterable[Session]) -> Mapping[tuple[str, str], int]:
    """Return how many sessions there are by transport and dialect."""
    kinds: Counter[tuple[str, str]] = Counter()
    for encoder, number in Counter([session.encoder for session in sessions]).items():
        kinds[encoder.transport, encoder.dialect.name] += number
    return kinds
