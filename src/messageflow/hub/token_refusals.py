"""Every refusal of a token: counted by its reason, logged, and what the client is told: whether another token helps."""

from __future__ import annotations

import logging
from typing import NamedTuple

from messageflow.core.codes import (
    CONNECTION_EXPIRED,
    EXPIRED,
    INVALID_TOKEN,
    PERMISSION_DENIED,
    TOKEN_EXPIRED,
    CommandRefused,
    Disconnect,
    Disconnected,
    ErrorCode,
)
from messageflow.errors import TokenReason
from messageflow.hub.runtime import Runtime

ORDINARY = frozenset({TokenReason.EXPIRED, TokenReason.REVOKED})  # as happens to every token
RENEWABLE = ORDINARY | {TokenReason.NOT_YET_VALID}  # the client fetches another token


class Answers(NamedTuple):
    """What a command with a refused token is answered.

    Args:
        renewable: where another token helps.
        final: where none does.
    """

    renewable: ErrorCode | Disconnect
    final: ErrorCode | Disconnect


ANSWERS = {
    "connect": Answers(TOKEN_EXPIRED, INVALID_TOKEN),
    "refresh": Answers(CONNECTION_EXPIRED, INVALID_TOKEN),
    "subscribe": Answers(TOKEN_EXPIRED, PERMISSION_DENIED),
    "sub_refresh": Answers(EXPIRED, PERMISSION_DENIED),
}
"""By command; a token of somebody else ends the connection, whatever the command."""


def refuse(
    runtime: Runtime, client: str, command: str, reason: TokenReason, detail: str
) -> CommandRefused | Disconnected:
    """Count and log one refusal, and return the answer, to be raised.

    Args:
        runtime: counters and log.
        client: who brought the token.
        command: with which, one of ANSWERS.
        reason: why it is refused.
        detail: the same as a sentence, which repeats nothing that the token says.
    """
    runtime.counters.token_refusals[reason.value] += 1
    level = logging.INFO if reason in ORDINARY else logging.WARNING
    runtime.log_limited(level, "token_refused", client=client, command=command, reason=reason.value, detail=detail)
    renewable, final = ANSWERS[command]
    answer = renewable if reason in RENEWABLE else INVALID_TOKEN if reason is TokenReason.WRONG_BEARER else final
    return Disconnected(answer, detail) if isinstance(answer, Disconnect) else CommandRefused(answer)
