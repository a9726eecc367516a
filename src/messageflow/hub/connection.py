"""What the hub needs of one transport link: a connection that writes bytes.

The hub never sees sockets or frames. A connection hands messages to its session and tells it when writing stalls;
everything else it does on the session's word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from messageflow.core.codes import Disconnect
from messageflow.hub.transport import Transport


class WayBack(NamedTuple):
    """Where a client sends its commands that cannot send them over its connection.

    Args:
        session: a name that nobody else knows, unlike the id of the client.
        node: the name of the hub.
    """

    session: str
    node: str


class Connection(Protocol):
    """One transport link, as its session sees it. Calls are synchronous and never raise."""

    @property
    def kind(self) -> Transport:
        """What carries it, one object for all connections alike."""

    @property
    def address(self) -> str:
        """The peer's address, for caps and logs."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the application sees of the headers of the handshake."""

    @property
    def way_back(self) -> WayBack | None:
        """Where commands are sent; None where they come over the connection, or not at all."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Hand bytes to the socket. When its buffer is full the session is told to pause."""

    @property
    def buffered(self) -> int:
        """The bytes that wait for the peer to take them."""

    @property
    def peer_is_gone(self) -> bool:
        """Whether the other end has stopped to acknowledge anything; asked only where something was written to it."""

    def takes_slowly(self, seconds: float) -> bool:
        """Whether the other end's system took some of what was written within so many seconds, and not all of it."""

    def be_patient(self, patient: bool) -> None:
        """Let the link wait for a peer that is there and takes nothing, for as long as it is there, or no longer."""

    def abort(self) -> None:
        """Drop the link, and what waits in it, at once."""

    def close(self, disconnect: Disconnect) -> None:
        """Tell the client why, and end the link. The session is told once it is gone."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
