"""What a handler is given: the one argument it takes.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from msgspec import Struct

from messageflow.core.handshake_headers import NO_HEADERS

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", default=Any)
else:
    from typing import TypeVar

    Data = TypeVar("Data")


class Event(Struct, Generic[Data], frozen=True, kw_only=True):
    """What a page says, or what has happened to a connection or a channel.

    Of a handler of typed messages it is an `Event[ReportReady]`, for those who check types.

    Args:
        name: what the page calls it; of connections and channels the kind, such as `connect`.
        data: what the page sent, decoded, None for nothing; an object of the class that the handler takes.
        user: whose connection it is, as their token says; empty for somebody without a name.
        client: the id of the connection.
        channel: where; empty where it is about none.
        headers: of the connection's handshake, those that `hook_headers` names, in lower case.
        address: of the other end, as far as trusted proxies tell.
        info: what others see of the client in presence; None for nothing.
        verb: what the client wants to do in the channel: subscribe, publish, history or presence.
        code: why the gateway ended the connection, as a close code; 0 where it did not.
        reason: the same in words.
    """

    name: str
    data: Data = None  # type: ignore[assignment]  # for nothing
    user: str = ""
    client: str = ""
    channel: str = ""
    headers: Mapping[str, str] = NO_HEADERS
    address: str = ""
    info: Any = None
    verb: str = ""
    code: int = 0
    reason: str = ""

    def __repr__(self) -> str:
        """Say which event, and neither data nor headers: both hold secrets, and what has a repr ends in a log."""
        said = {"user": self.user, "client": self.client, "channel": self.channel}
        return f"Event({', '.join([repr(self.name), *(f'{name}={value!r}' for name, value in said.items() if value)])})"
