"""What an exchange brings: a response, or why there is none. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Response(NamedTuple):
    """A complete response, as far as the calls need it: as HTTP has it, whichever way it came."""

    status: int
    body: bytes


class NoResponse(NamedTuple):
    """Why an exchange brought no response.

    Args:
        reason: completes the sentence "no answer from …: …".
        sent: the request may have arrived.
        stale: a kept connection turned out to be closed, which says nothing about the other side.
        absent: nobody listens at that address.
        hopeless: another attempt will fail in the same way.
    """

    reason: str
    sent: bool = False
    stale: bool = False
    absent: bool = False
    hopeless: bool = False


NO_CONNECTION = NoResponse("no connection in time")
NO_ANSWER = NoResponse("no answer in time", sent=True)
