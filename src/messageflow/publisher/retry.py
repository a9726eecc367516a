"""Whether and when a call is tried again.

Every publishing call carries an idempotency key and every other call may be repeated by its nature, so an attempt
that brought no answer is repeated: within the call's deadline, after pauses that grow and are spread by chance.
What remains to decide at the end is what can be said: that nothing was stored, or that nobody knows.

Pure: `now` is an argument, in seconds on any monotonic clock; chance is an argument too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from messageflow.client_io.outcome import NO_CONNECTION, NoResponse, Response
from messageflow.core.backoff import pause_after
from messageflow.core.codes import INTERNAL
from messageflow.errors import GatewayUnreachable, NotStored, OutcomeUnknown, PublishError, Refused, Unauthorized
from messageflow.publisher.call import Call
from messageflow.publisher.error_texts import Peer
from messageflow.publisher.responses import read

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
ABSENT_PATIENCE = 1.0  # seconds of "nobody listens": a gateway that restarts takes less, a person waits no longer
BUSY = (408, 429, 503)  # not ready, draining or too much asked of a proxy: nothing was done
UNSURE = (502, 504)  # a proxy lost the gateway while it worked, perhaps
_spread = random.SystemRandom().random  # of the system, for forked children would all draw the same


class Retry:
    """The attempts of one call.

    Args:
        peer: what they go to, for messages.
        stores: whether the call, once it has arrived, changes what is stored.
        timeout: seconds for all attempts and pauses together.
        now: when the call began.
        chance: returns a number in [0, 1).
    """

    __slots__ = ("_absent", "_chance", "_failed", "_peer", "_reason", "_start", "_stores", "_timeout", "_unsure")

    def __init__(
        self, peer: Peer, *, stores: bool, timeout: float, now: float, chance: Callable[[], float] = _spread
    ) -> None:
        self._peer = peer
        self._stores = stores
        self._timeout = timeout
        self._start = now
        self._chance = chance
        self._failed = 0
        self._unsure = False
        self._absent = False  # nobody listened, and nothing since then has said otherwise
        self._reason = ""

    def compute_limit(self, now: float) -> float:
        """Return when the attempt that begins now must have its answer.

        Half of the timeout at most, so that one answer that got lost leaves time to ask again.
        """
        return min(self._start + self._timeout, now + self._timeout / 2)

    def decide_pause(self, outcome: Response | NoResponse, now: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None when `outcome` is an answer to read.

        Raises:
            GatewayUnreachable: time is over and no attempt arrived.
            OutcomeUnknown: time is over and an attempt may have arrived.
        """
        patience = self._timeout
        if isinstance(outcome, Response):
            if outcome.status not in BUSY and outcome.status not in UNSURE:
                return None
            self._unsure = self._unsure or outcome.status in UNSURE
            self._absent = False
            self._reason = f"it answers {outcome.status}"
        else:
            if outcome.stale:
                self._unsure = self._unsure or outcome.sent
                return 0.0
            self._unsure = self._unsure or outcome.sent
            self._absent = outcome.absent or (self._absent and outcome == NO_CONNECTION)
            self._reason = outcome.reason
            if outcome.hopeless:
                raise self._verdict(outcome)
            if outcome.absent:
                patience = min(patience, ABSENT_PATIENCE)
        self._failed += 1
        pause = pause_after(self._failed, FIRST_PAUSE, LONGEST_PAUSE, self._chance())
        if now + pause >= self._start + patience:
            raise self._verdict(outcome)
        return pause

    def read(self, call: Call[T], answer: Response) -> T:
        """Return the result in the answer that ended the attempts.

        Raises:
            OutcomeUnknown: this attempt was refused, but one before it may have been stored.
            PublishError: as the gateway said.
        """
        try:
            return read(call, answer, self._peer)
        except PublishError as error:
            if self._stores and self._unsure and _may_differ(error):
                raise OutcomeUnknown(
                    f"an earlier attempt got no answer, and this one was refused ({error}): the call may or may not "
                    "have been stored; call again with the same idempotency_key and one copy is"
                ) from error
            raise

    def _verdict(self, outcome: Response | NoResponse) -> PublishError:
        if not self._unsure:
            if self._absent:
                return GatewayUnreachable(self._peer.absent)
            return GatewayUnreachable(f"{self._peer.name} cannot be reached: {self._reason}; nothing was stored")
        early = isinstance(outcome, NoResponse) and (outcome.hopeless or outcome.absent)
        within = "" if early else f" within {self._timeout:g} s"
        silence = f"no answer from {self._peer.name}{within} ({self._reason})"
        if not self._stores:
            return PublishError(silence)
        return OutcomeUnknown(
            f"{silence}: it may or may not have been stored; call again with the same idempotency_key and one copy is"
        )


def _may_differ(error: PublishError) -> bool:
    """Whether an earlier attempt of the same call may have fared better than this."""
    if isinstance(error, Refused):
        return error.code == INTERNAL.code
    return isinstance(error, NotStored | Unauthorized) or type(error) is PublishError
