"""What calls are answered that are not carried out, and how many there were of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from messageflow.api import answers
from messageflow.api.publishing import CallRefused
from messageflow.core.codes import INTERNAL
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable

_STATUS = {NoRoom: 507, Unanswered: 504, Unavailable: 503}  # what a publisher tells apart: nothing stored, nobody knows

FAILURES = frozenset(_STATUS.values())  # of a broker: a call may fare better later

_encode = msgspec.json.Encoder().encode


class CallErrors:
    """The errors of one API.

    Args:
        on_failure: told the method and the error when the broker fails.

    Attributes:
        counted: how many calls and parts of batches were refused, by error code.
    """

    def __init__(self, on_failure: Callable[[str, BrokerError], None]) -> None:
        self.counted: Counter[int] = Counter()
        self._on_failure = on_failure

    def encode(self, refusal: CallRefused) -> bytes:
        """Return the JSON of a refusal, and count it."""
        self.counted[refusal.code] += 1
        return b'{"error":%b}' % _encode(answers.CallError(refusal.code, str(refusal)))

    def answer(self, refusal: CallRefused) -> tuple[int, bytes]:
        """Return the HTTP status and the JSON of a refusal, and count it."""
        return refusal.status, self.encode(refusal)

    def answer_failure(self, method: str, error: BrokerError) -> tuple[int, bytes]:
        """Return the same of a call at which the broker failed."""
        self._on_failure(method, error)
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 200)
        return self.answer(CallRefused(INTERNAL, str(error), status=status))
