"""Every refusal of a token, counted by its reason and logged. What the client is told is the command's to say."""

from __future__ import annotations

import logging

from messageflow.errors import TokenReason
from messageflow.hub.runtime import Runtime

ORDINARY = frozenset({TokenReason.EXPIRED, TokenReason.REVOKED})  # as happens to every token
RENEWABLE = ORDINARY | {TokenReason.NOT_YET_VALID}  # the client fetches another token


def note_refusal(runtime: Runtime, client: str, command: str, reason: TokenReason, detail: str) -> None:
    """Count and log one refusal.

    Args:
        runtime: counters and log.
        client: who brought the token.
        command: with which.
        reason: why it is refused.
        detail: the same as a sentence, which repeats nothing that the token says.
    """
    runtime.counters.token_refusals[reason.value] += 1
    level = logging.INFO if reason in ORDINARY else logging.WARNING
    runtime.log_limited(level, "token_refused", client=client, command=command, reason=reason.value, detail=detail)
