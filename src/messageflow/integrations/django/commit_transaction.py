"""A transaction of a flow that ends when one of the database does."""

from __future__ import annotations

from types import TracebackType

from django.db import transaction

from messageflow.publisher.blocks import SyncTransaction
from messageflow.publisher.flow import Flow


class CommitTransaction(SyncTransaction):
    """`flow.transaction()`, whose end waits for the database: what was collected is sent when that has committed.

    Args:
        flow: sends it.
        using: of which database; else the default one.
    """

    def __init__(self, flow: Flow, using: str | None = None) -> None:
        super().__init__(flow)
        self._using = using

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if kind is None and not self.join_enclosing():
            transaction.on_commit(self._send, using=self._using)

    def _send(self) -> None:
        try:
            self.send()
        finally:
            self.release_later()
