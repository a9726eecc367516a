"""Every exception a user of messageflow can meet, as one tree.

    MessageflowError
    ├── ConfigurationError        a setting is missing, malformed or unsafe
    ├── EncodingError             a payload that JSON cannot carry
    ├── InvalidMessage            a typed message that is not as its class says
    ├── TokenError                a JSON Web Token that is not accepted
    │   └── TokenExpired          … because its time is over
    ├── BrokerError               the broker cannot do what was asked
    │   ├── Unrecoverable         … the position is not in the history
    │   ├── Unavailable           … it cannot be asked now: nothing was stored
    │   ├── NoRoom                … its storage is full or failed: nothing was stored
    │   └── Unanswered            … it did not answer in time: it may have been stored
    ├── Refuse                    raised by the application's handlers: what a client wants is refused
    └── PublishError              a call of Flow or AsyncFlow did not succeed
        ├── GatewayUnreachable    nothing listens there: nothing was stored
        ├── OutcomeUnknown        the answer never came: it may have been stored
        ├── NotStored             the gateway's storage is full or failed: nothing was stored
        ├── Unauthorized          the API key is missing or wrong
        ├── PayloadTooLarge       over the gateway's size limit
        └── Refused               the gateway answered with an error code
            └── BatchRefused      … for some commands of a batch; lives in `publisher.batch`

Each message says what happened and what to do next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Picklable:
    """An exception that survives pickling and copying, whatever its constructor takes.

    Python pickles an exception as a call of its class with `args`, which is what its message was made of, and a result
    that cannot be unpickled breaks the whole process pool. This one is put together again without its constructor.
    Two are equal when nothing that can be seen tells them apart.
    """

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return _put_together, (type(self), self.args), self.__dict__

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.args, self.__dict__) == (other.args, other.__dict__)

    def __hash__(self) -> int:
        return hash((type(self), str(self)))


def _put_together(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    return kind.__new__(kind, *args)


class MessageflowError(Picklable, Exception):
    """The root: catch this to catch everything messageflow raises on purpose."""


class ConfigurationError(MessageflowError):
    """A setting is missing, malformed or unsafe; the message names it."""


class EncodingError(MessageflowError, TypeError):
    """A payload that JSON cannot carry; the message names the type and where it stands."""


class InvalidMessage(MessageflowError, ValueError):
    """A typed message that is not as its class says. Nothing was sent.

    Args:
        name: of the class.
        field: where, such as `items[0].price`; empty for the whole.
        reason: in words.
    """

    def __init__(self, name: str, field: str, reason: str) -> None:
        super().__init__(f"{name}.{field}: {reason}" if field else f"{name}: {reason}")
        self.name = name
        self.field = field
        self.reason = reason


class TokenReason(StrEnum):
    """Why a token is refused, in one word: counted, logged, and told what to do about in docs/limits.md."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    NOT_YET_VALID = "not_yet_valid"
    TOO_LONG_A_LIFE = "too_long_a_life"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KEY = "unknown_key"
    ALGORITHM = "algorithm"
    AUDIENCE = "audience"
    ISSUER = "issuer"
    MISSING_CLAIM = "missing_claim"
    WRONG_USE = "wrong_use"
    USED = "used"
    WRONG_BEARER = "wrong_bearer"
    TOO_MANY_CHANNELS = "too_many_channels"
    MALFORMED = "malformed"


class TokenError(MessageflowError):
    """A JSON Web Token that is not accepted. The message is for logs, never for the wire.

    Attributes:
        reason: why, in one word.
    """

    reason = TokenReason.MALFORMED

    def __init__(self, message: str = "", reason: TokenReason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class TokenExpired(TokenError):
    """A token that was right once and whose time is over: the client should fetch a new one."""

    reason = TokenReason.EXPIRED


class BrokerError(MessageflowError):
    """The broker cannot do what was asked."""


class Unrecoverable(BrokerError):
    """The position asked for is not in the history: another epoch, a lost tail, or out of the window."""


class Unavailable(BrokerError):
    """The broker cannot be asked now. Nothing was stored; another try may fare better."""


class NoRoom(BrokerError):
    """The broker's storage is full or has failed. Nothing of the call was stored."""


class Unanswered(BrokerError):
    """The broker did not answer in time: what was asked may or may not have happened."""


def show(error: BaseException) -> str:
    """Return an exception as one line of a log, also one of an application's whose own `repr` fails."""
    try:
        return repr(error).encode(errors="replace").decode()
    except Exception:
        return f"{type(error).__name__}, which cannot be shown"


class Refuse(MessageflowError):
    """Raised by a handler of the application: what a client wants is refused, and the client is told why.

        raise Refuse(1001, "no advertising")

    Args:
        code: an error code, 1000 and above are yours; or from 3000 on a close code: 3000 to 3499 and 4000 to 4499 let
            the client come back, 3500 to 3999 and 4500 to 4999 are final.
        message: in a few words, for the client.
        temporary: whether the client may try again; for error codes.

    Raises:
        TypeError, ValueError: no client could be told so.
    """

    def __init__(self, code: int = 103, message: str = "permission denied", *, temporary: bool = False) -> None:
        if not isinstance(code, int) or not isinstance(message, str):
            raise TypeError(f"Refuse takes a number and a text, Refuse(1001, 'why'), not {code!r} and {message!r}")
        if not 0 < code < 5000:
            raise ValueError(f"the code of a refusal lies between 1 and 4999, and is not {code}")
        message.encode()  # half a surrogate pair cannot be said to anybody
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.temporary = temporary


class PublishError(MessageflowError):
    """A call of `Flow` or `AsyncFlow` did not succeed."""


class GatewayUnreachable(PublishError):
    """No connection to the gateway could be made, so nothing was stored."""


class OutcomeUnknown(PublishError):
    """The request was sent and no answer came in time: it may or may not have been stored.

    A retry with the same idempotency key stores one copy.
    """


class NotStored(PublishError):
    """The gateway has no room for it, or its storage has failed; the message says which. Nothing was stored."""


class Unauthorized(PublishError):
    """The gateway did not accept the API key."""


class PayloadTooLarge(PublishError):
    """The payload is over the gateway's size limit. Push an identifier and let the browser fetch the rest."""


class Refused(PublishError):
    """The gateway understood the call and answered with an error.

    Args:
        code: the error code of the API, see `messageflow.core.codes`.
        text: what the gateway said.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the call was refused with error {code}: {text}")
        self.code = code
        self.text = text
