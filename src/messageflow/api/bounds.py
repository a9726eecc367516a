"""How much one call may ask, so that no call holds the event loop or the memory of a gateway for long.

What costs by the piece is bounded by number before it is decoded as far as that can be told, and carried out in
slices. Pure.
"""

from __future__ import annotations

from messageflow.api.methods import STORE_ONE
from messageflow.api.publishing import CallRefused
from messageflow.core.channel_patterns import explain_pattern
from messageflow.core.codes import BAD_REQUEST, LIMIT_EXCEEDED

MOST_CALLS = 10_000  # in one batch
MOST_CHANNELS = 10_000  # of one broadcast
NAME_CHARACTERS = 256  # of a personal channel, the longest of all
MOST_OBJECTS = 1 << 18  # in the JSON of one batch; to decode as many takes 40 ms
MOST_BYTES = 1 << 20  # of the body of a call that publishes nothing
MOST_HISTORY = 10_000  # publications in one answer
ANSWER_BYTES = 4 << 20  # of publications in one answer
ANSWERS_BYTES = 16 << 20  # of all answers of one batch
SLICE = 512  # calls or channels, about 6 ms of the event loop, between which others have their turn


def check_body(method: str, body: bytes, size_limit: int) -> None:
    """Refuse a body of more than MOST_BYTES that would take long to decode.

    Raises:
        CallRefused: it says how much is too much.
    """
    if method == "batch":
        if body.count(b"{") > MOST_OBJECTS:
            raise _too_much(f"a batch holds more than {MOST_OBJECTS} JSON objects")
    elif method == "broadcast":
        if body.count(b'"') > 2 * (MOST_CHANNELS + size_limit):
            raise _too_much(f"a broadcast names more than {MOST_CHANNELS} channels")
    elif method not in STORE_ONE:
        raise _too_much(f"the body of {method} has more than {MOST_BYTES} bytes")


def check_count(count: int, most: int, what: str) -> None:
    """Refuse more than `most` of something in one call.

    Raises:
        CallRefused: it is more.
    """
    if count > most:
        raise _too_much(f"{count} {what} in one call are more than {most}")


def check_names(*names: str) -> None:
    """Refuse a user, client, channel or pattern longer than there are any.

    Raises:
        CallRefused: one is.
    """
    if any(len(name) > NAME_CHARACTERS for name in names):
        raise CallRefused(BAD_REQUEST, f"no name has more than {NAME_CHARACTERS} characters")


def check_revoked(token: str, channels: str) -> None:
    """Refuse to revoke what is no token and no channels, or both.

    Raises:
        CallRefused: it is.
    """
    check_names(token, channels)
    if token and channels:
        raise CallRefused(BAD_REQUEST, "revoke one token, or what tokens say of channels, not both at once")
    if channels and (problem := explain_pattern(channels)):
        raise CallRefused(BAD_REQUEST, f"{channels!r} names no channels: {problem}")


def check_answers(size: int) -> None:
    """Refuse one more answer of a batch when those before it have so many bytes.

    Raises:
        CallRefused: there is no room for another.
    """
    if size > ANSWERS_BYTES:
        raise CallRefused(LIMIT_EXCEEDED, f"the answers before have {ANSWERS_BYTES} bytes: ask in another batch")


def _too_much(what: str) -> CallRefused:
    return CallRefused(BAD_REQUEST, f"{what}: send several smaller calls", status=413)
