"""Publications that wait for the end of a block, and are never sent where it raises.

Which transactions are open belongs to the running thread, task or greenlet, by a context variable: whatever it calls
finds them there, and what is started inside, where the context travels along. One that has ended collects no more.

Pure: it collects, and says what is to be sent; the edges carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar

from messageflow.publisher.batch import Batch
from messageflow.publisher.call import Call
from messageflow.publisher.results import Receipt

PENDING = Receipt(ack="pending")


class Transaction(Batch):
    """Collects what a block of code publishes. See `Flow.transaction`.

    Args:
        target: whose calls it collects: those of every flow with an equal one.
        send_later: takes what was called of `flow.later` inside, when the block has ended well.
    """

    def __init__(self, target: Hashable, send_later: Callable[[Call[Receipt]], None]) -> None:
        super().__init__()
        self._target = target
        self._send_later = send_later
        self._later: list[Call[Receipt]] = []
        self._around: Transaction | None = None
        self._is_open = False

    def collect(self, call: Call[Receipt]) -> Receipt:
        """Take a call that would be sent at once outside of it."""
        self._add(call)
        return PENDING

    def collect_later(self, call: Call[Receipt]) -> None:
        """Take a call of `flow.later`."""
        self._later.append(call)

    def open(self) -> None:
        """The block begins."""
        self._around = _innermost.get()
        self._is_open = True
        _innermost.set(self)

    def close(self) -> None:
        """The block has ended: from here on it collects no more."""
        self._is_open = False
        _innermost.set(self._around)

    def join_enclosing(self) -> bool:
        """Leave everything to the transaction around, if there is one. Returns whether there is."""
        enclosing = find_transaction(self._target)
        if enclosing is None:
            return False
        self.join(enclosing)
        enclosing._later += self._later
        return True

    def release_later(self) -> None:
        """Let what was called of `flow.later` be sent."""
        while self._later:
            self._send_later(self._later.pop(0))


_innermost: ContextVar[Transaction | None] = ContextVar("messageflow_transaction", default=None)


def is_any_open() -> bool:
    """Whether the running thread or task may be inside a transaction of any target."""
    return _innermost.get() is not None


def find_transaction(target: Hashable) -> Transaction | None:
    """Return the innermost open transaction that collects the calls to a target."""
    found = _innermost.get()
    while found is not None and not (found._is_open and found._target == target):
        found = found._around
    return found
