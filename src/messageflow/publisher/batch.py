"""Calls collected and sent together, in bounded requests, in their order.

A batch knows at every moment which of its calls are stored (`receipts`), which the gateway refused (`failures`) and
which are still to be sent; every call keeps its idempotency key. So a batch that was cut short can be sent again, and
only what is missing is stored. Requests go one after the other, the next when the last is answered: what is stored
when a connection breaks is what came before, never something from the middle.

Pure: it hands out requests and takes answers; the edges carry them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice

import msgspec

from messageflow.api.answers import CallError
from messageflow.errors import Refused
from messageflow.publisher.call import Call
from messageflow.publisher.collector import CallCollector
from messageflow.publisher.results import Receipt

COMMANDS = 1000  # in one request
BYTES = 1_000_000  # of one request, unless a single command is larger


class BatchRefused(Refused):
    """The gateway refused some calls of a batch; all others are stored.

    Args:
        failures: what the gateway said of each refused call, by its place in the batch, from 0.
        receipts: the receipt of each call in order, None for a refused one.
    """

    def __init__(self, failures: Mapping[int, Refused], receipts: Sequence[Receipt | None]) -> None:
        place, first = min(failures.items())
        super().__init__(
            first.code, f"{first.text} (call {place} of a batch; {len(failures)} of {len(receipts)} were refused)"
        )
        self.failures = dict(failures)
        self.receipts = tuple(receipts)


class Batch(CallCollector):
    """Collects calls. See `Flow.batch`."""

    def __init__(self) -> None:
        self._commands: list[bytes] = []
        self._outcomes: list[Receipt | Refused] = []
        self._joined: tuple[Batch, int] | None = None  # what sends it, and its first place there

    def __len__(self) -> int:
        return len(self._commands)

    @property
    def receipts(self) -> list[Receipt | None]:
        """One entry a call, in order: its receipt, or None where it is refused or not stored for all we know."""
        known = [outcome if isinstance(outcome, Receipt) else None for outcome in self._list_outcomes()]
        return known + [None] * (len(self._commands) - len(known))

    @property
    def failures(self) -> dict[int, Refused]:
        """What the gateway said of the calls it refused, by their place in the batch, from 0."""
        return {place: outcome for place, outcome in enumerate(self._list_outcomes()) if isinstance(outcome, Refused)}

    def join(self, other: Batch) -> None:
        """Leave what has no outcome yet to another batch, to be sent with it and after what it has."""
        if self._joined is None:
            self._joined = (other, len(other._commands) - len(self._outcomes))
            other._commands += self._commands[len(self._outcomes) :]

    def _list_outcomes(self) -> list[Receipt | Refused]:
        if self._joined is None:
            return self._outcomes
        other, first = self._joined
        return self._outcomes + other._list_outcomes()[first + len(self._outcomes) :][: len(self) - len(self._outcomes)]

    def _add(self, call: Call[Receipt]) -> None:
        self._commands.append(encode_command(call))

    def next_request(self) -> Call[list[Receipt | Refused]] | None:
        """Return the request that sends the first calls without an outcome, or None when there are none left."""
        start = len(self._outcomes)
        end = start + count_fitting(self._commands[start : start + COMMANDS])
        return make_batch_call(self._commands[start:end]) if end > start else None

    def settle(self, outcomes: list[Receipt | Refused]) -> None:
        """Take what came of the last request."""
        self._outcomes.extend(outcomes)

    async def send_all(
        self, perform: Callable[[Call[list[Receipt | Refused]]], Awaitable[list[Receipt | Refused]]]
    ) -> None:
        """Send what has no outcome yet, request by request, and raise as `check` does."""
        if self._joined is not None:
            return
        while (request := self.next_request()) is not None:
            self.settle(await perform(request))
        self.check()

    def check(self) -> None:
        """Raise BatchRefused if the gateway refused any call."""
        if failures := self.failures:
            raise BatchRefused(failures, self.receipts)


def encode_command(call: Call[Receipt]) -> bytes:
    """Return a call as a part of a batch."""
    return b'{"%b":%b}' % (call.method.encode(), call.body)


def count_fitting(commands: Iterable[bytes]) -> int:
    """Return how many of these commands, from the first on, go into one request: one at least where there is any."""
    count = size = 0
    for command in islice(commands, COMMANDS):
        size += len(command) + 1
        if size > BYTES and count:
            break
        count += 1
    return count


def make_batch_call(commands: Sequence[bytes]) -> Call[list[Receipt | Refused]]:
    """Return the request that sends these commands."""
    count = len(commands)
    body = b'{"commands":[%b]}' % b",".join(commands)
    return Call("batch", body, lambda answer: _read_replies(answer, count), stores=True)


class _Outcome(msgspec.Struct, frozen=True):
    push: Receipt | None = None
    publish: Receipt | None = None
    broadcast_push: Receipt | None = None
    error: CallError | None = None


class _Replies(msgspec.Struct, frozen=True):
    replies: list[_Outcome] | None = None
    error: CallError | None = None


_decoder = msgspec.json.Decoder(_Replies)


def _read_replies(body: bytes, count: int) -> list[Receipt | Refused]:
    answer = _decoder.decode(body)
    if answer.error is not None:
        raise Refused(answer.error.code, answer.error.message)
    if answer.replies is None or len(answer.replies) != count:
        raise msgspec.ValidationError(f"not {count} replies")
    return [_read_outcome(outcome) for outcome in answer.replies]


def _read_outcome(outcome: _Outcome) -> Receipt | Refused:
    if outcome.error is not None:
        return Refused(outcome.error.code, outcome.error.message)
    receipt = outcome.push or outcome.publish or outcome.broadcast_push
    if receipt is None:
        raise msgspec.ValidationError("neither a result nor an error")
    return receipt
