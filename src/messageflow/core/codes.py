"""Error, disconnect and unsubscribe codes of the native protocol, and the ranges that tell a client what to do.

A client needs no table: the range of a code decides. Disconnects 3000–3499, 4000–4499 and from 5000 on mean
"reconnect", 3500–3999 and 4500–4999 are terminal; unsubscribes from 2500 on mean "subscribe again"; errors marked
temporary may be tried again.

Source: docs/protocol.md, "Error codes" and "Close codes".
"""

from __future__ import annotations

from typing import NamedTuple

from messageflow.errors import Picklable


class ErrorCode(NamedTuple):
    """Why a command was not carried out."""

    code: int
    message: str
    temporary: bool = False


INTERNAL = ErrorCode(100, "internal server error", temporary=True)
UNAUTHORIZED = ErrorCode(101, "unauthorized")
UNKNOWN_CHANNEL = ErrorCode(102, "unknown channel")
PERMISSION_DENIED = ErrorCode(103, "permission denied")
METHOD_NOT_FOUND = ErrorCode(104, "method not found")
ALREADY_SUBSCRIBED = ErrorCode(105, "already subscribed")
LIMIT_EXCEEDED = ErrorCode(106, "limit exceeded")
BAD_REQUEST = ErrorCode(107, "bad request")
NOT_AVAILABLE = ErrorCode(108, "not available")
TOKEN_EXPIRED = ErrorCode(109, "token expired")
EXPIRED = ErrorCode(110, "expired")
TOO_MANY_REQUESTS = ErrorCode(111, "too many requests", temporary=True)
UNRECOVERABLE = ErrorCode(112, "unrecoverable position")
OUTCOME_UNKNOWN = ErrorCode(113, "outcome unknown")  # ours: it may have been handled, and will not be repeated


CLOSE_CODES = range(3000, 5000)


def is_close_code(code: int) -> bool:
    """Whether a code ends a connection; the lower ones are those of commands and of subscriptions."""
    return code in CLOSE_CODES


class Disconnect(NamedTuple):
    """Why the server ended a connection: the close code and reason of the WebSocket."""

    code: int
    reason: str

    @property
    def reconnect(self) -> bool:
        """Whether a client that gets this code should come back."""
        return not (3500 <= self.code < 4000 or 4500 <= self.code < 5000)


SHUTDOWN = Disconnect(3001, "shutdown")
SERVER_ERROR = Disconnect(3004, "internal server error")
CONNECTION_EXPIRED = Disconnect(3005, "connection expired")
SLOW = Disconnect(3008, "slow")
INSUFFICIENT_STATE = Disconnect(3010, "insufficient state")
NO_PONG = Disconnect(3012, "no pong")
TOO_MANY_COMMANDS = Disconnect(3013, "too many requests")
RESTART = Disconnect(3401, "restart")  # ours: back in a moment, and few enough wait for it to come at once
CONNECTION_LIMIT = Disconnect(3404, "connection limit")  # ours: 3504 would be final, and it passes
INVALID_TOKEN = Disconnect(3500, "invalid token")
MALFORMED = Disconnect(3501, "bad request")
STALE = Disconnect(3502, "stale")
FORCE_DISCONNECT = Disconnect(3503, "force disconnect")
WRONG_PROTOCOL = Disconnect(3506, "inappropriate protocol")
FORBIDDEN = Disconnect(3507, "permission denied")


class Unsubscribe(NamedTuple):
    """Why the server ended a subscription."""

    code: int
    reason: str


UNSUBSCRIBED_BY_SERVER = Unsubscribe(2000, "server unsubscribe")
UNSUBSCRIBED_INSUFFICIENT = Unsubscribe(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED = Unsubscribe(2501, "subscription expired")


class CommandRefused(Picklable, Exception):
    """Ends the handling of a command with an error reply; `why` follows the message of its code."""

    def __init__(self, error: ErrorCode, why: str = "") -> None:
        if why:
            error = error._replace(message=f"{error.message}: {why}")
        super().__init__(error.message)
        self.error = error


class Disconnected(Picklable, Exception):
    """Ends the handling of a command, and the connection with it."""

    def __init__(self, disconnect: Disconnect, detail: str = "") -> None:
        super().__init__(detail or disconnect.reason)
        self.disconnect = disconnect
        self.detail = detail
