"""The blocks of a `Flow`: batches and transactions that are sent, on blocking I/O, where a `with` block ends.

Owns nothing but the edge: what is collected and how it is sent stands in `batch` and `transaction`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from messageflow.client_io.kernel import run_now
from messageflow.publisher.batch import Batch
from messageflow.publisher.flow_base import FlowBase
from messageflow.publisher.transaction import Transaction


class SyncBatch(Batch):
    """A batch of a `Flow`; see `Flow.batch`."""

    def __init__(self, flow: FlowBase) -> None:
        super().__init__()
        self._flow = flow

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.send()

    def send(self) -> None:
        """Send what has no outcome yet. Done by the `with` block; call it to go on after a failure.

        Raises:
            BatchRefused: the gateway refused some of the calls, all others are stored.
            PublishError: as in `Flow.push`; `receipts` says what is stored.
        """
        self._flow._join_transaction(self)
        run_now(self.send_all(self._flow._perform))


class SyncTransaction(Transaction):
    """A transaction of a `Flow`; see `Flow.transaction`."""

    def __init__(self, flow: FlowBase) -> None:
        super().__init__(flow._target, flow._send_later)
        self._flow = flow

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if kind is None and not self.join_enclosing():
            try:
                self.send()
            finally:
                self.release_later()

    def send(self) -> None:
        """Send what has no outcome yet; see `SyncBatch.send`."""
        run_now(self.send_all(self._flow._perform))
