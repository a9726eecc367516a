"""What a session needs of the hub it belongs to: the contract between the two.

Owns nothing; knows no session, so that sessions can be written against it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from messageflow.core.codes import Disconnect
from messageflow.core.protocol import Command, FaultyCommand
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.runtime import Runtime

S = TypeVar("S", contravariant=True)


class SessionOwner(Protocol[S]):
    """What sessions of a kind belong to."""

    @property
    def runtime(self) -> Runtime:
        """Time, tasks, log, counters and limits."""

    @property
    def presence(self) -> PresenceChanges:
        """What tells others who a client is."""

    @property
    def carry_out(self) -> Callable[[S, Command | FaultyCommand], Awaitable[None]]:
        """Carry out a command; it answers for itself, or raises the refusal."""

    def note_heard(self, session: S) -> None:
        """A session has answered a ping."""

    def pause(self, session: S) -> None:
        """The transport of a session is full."""

    def resume(self, session: S) -> None:
        """It has room again."""

    def leave(self, session: S, name: str) -> None:
        """Take a session out of a channel; one that is not in it is no error."""

    def remove(self, session: S, why: Disconnect | None) -> None:
        """A session has ended, by decision of the server where it says `why`: take it out of everything, now."""
