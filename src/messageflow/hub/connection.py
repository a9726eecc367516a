"""What the hub needs of a transport: a connection that writes bytes, and a wire that makes them.

The hub never sees sockets or frames. A transport hands commands to its session and tells it when writing stalls;
everything else it does on the session's word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from messageflow.core.codes import Disconnect, ErrorCode
from messageflow.core.protocol import Push, Result
from messageflow.core.stream import Publication


class Wire(Protocol):
    """How one kind of connection is spoken to: a dialect within the framing of a transport.

    All connections of a kind share one wire, so that a publication is encoded once for all of them. Pure.
    """

    @property
    def ping(self) -> bytes: ...

    def publication(self, channel: str, publication: Publication) -> bytes: ...

    def push(self, channel: str, push: Push) -> bytes: ...

    def result(self, command_id: int, method: str, result: Result) -> bytes: ...

    def error(self, command_id: int, error: ErrorCode) -> bytes: ...


class Connection(Protocol):
    """One transport link, as its session sees it. Calls are synchronous and never raise."""

    @property
    def wire(self) -> Wire: ...

    @property
    def address(self) -> str:
        """The peer's address, for caps and logs."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Hand bytes to the socket. When its buffer is full the session is told to pause."""

    @property
    def buffered(self) -> int:
        """The bytes that wait for the peer to take them."""

    @property
    def peer_is_gone(self) -> bool:
        """Whether the other end has stopped to acknowledge anything; asked only where bytes wait for it."""

    def be_patient(self, patient: bool) -> None:
        """Let the link wait for a peer that is there and takes nothing, for as long as it is there, or no longer."""

    def abort(self) -> None:
        """Drop the link, and what waits in it, at once."""

    def close(self, disconnect: Disconnect) -> None:
        """Tell the client why, and end the link. The session is told once it is gone."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
