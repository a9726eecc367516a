"""Who is connected, by user: all of a user's sessions, the oldest first.

Nearly every user has one connection, and so the session itself stands where the tuple of several would: 48 bytes less
(benchmarks: memory). Who reads sees tuples. Knows nothing of what sessions are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

from messageflow.hub.session import Session

T = TypeVar("T")


class ConnectedUsers(Mapping[str, tuple[Session, ...]]):
    """The users of one hub."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session | tuple[Session, ...]] = {}

    def __getitem__(self, user: str) -> tuple[Session, ...]:
        found = self._sessions[user]
        return found if isinstance(found, tuple) else (found,)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)

    @overload
    def get(self, key: str, /) -> tuple[Session, ...] | None: ...
    @overload
    def get(self, key: str, default: tuple[Session, ...] | T, /) -> tuple[Session, ...] | T: ...
    def get(self, key: str, default: tuple[Session, ...] | T | None = None, /) -> tuple[Session, ...] | T | None:
        """Return the sessions of a user, without raising anything on the way (benchmarks: connect)."""
        found = self._sessions.get(key)
        if found is None:
            return default
        return found if isinstance(found, tuple) else (found,)

    def add(self, session: Session) -> None:
        """One more of its user's has come."""
        others = self._sessions.get(session.user)
        if others is None:
            self._sessions[session.user] = session
        else:
            self._sessions[session.user] = (*others, session) if isinstance(others, tuple) else (others, session)

    def discard(self, session: Session) -> None:
        """It has gone; one that is not here is no error."""
        found = self._sessions.get(session.user)
        if found is session:
            del self._sessions[session.user]
        elif isinstance(found, tuple):
            others = tuple([each for each in found if each is not session])
            self._sessions[session.user] = others if len(others) > 1 else others[0]
