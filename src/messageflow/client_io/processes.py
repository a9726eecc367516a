"""What belongs to the process that made it: connections, and whatever hands them out.

A forked child has copies of all that, and on a copied connection two processes read each other's answers. Python tells
a child of its birth by `os.register_at_fork`, which only `os.fork` obeys: a server written in C that loads the
application and then forks, as uWSGI does, runs no such hook. So every taker of a connection compares process ids.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _leave(_: object) -> None:
    pass


class PerProcess(Generic[K, V]):
    """A table that is empty in every process that has put nothing into it itself.

    Args:
        abandon: lets go of a value that belongs to the parent; must take no lock, for a thread that is no more may
            hold it.
    """

    def __init__(self, abandon: Callable[[V], None] = _leave) -> None:
        self._abandon = abandon
        self._tables: dict[int, dict[K, V]] = {os.getpid(): {}}
        if hasattr(os, "register_at_fork"):  # where it is obeyed, a child lets go before it asks
            os.register_at_fork(after_in_child=self.table)

    def table(self) -> dict[K, V]:
        """Return the table of this process."""
        own = self._tables.get(os.getpid())
        return self._begin() if own is None else own

    def _begin(self) -> dict[K, V]:
        own = self._tables.setdefault(os.getpid(), {})
        for process in list(self._tables):
            if process != os.getpid():
                for value in list(self._tables.pop(process, {}).values()):  # popped by one thread alone
                    self._abandon(value)
        return own


class OpenedBy:
    """By which process something was opened. Made as it is opened."""

    __slots__ = ("_process",)

    def __init__(self) -> None:
        self._process = os.getpid()

    def is_here(self) -> bool:
        """Whether this is the process that opened it."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Let only the process that opened it go on; a greenlet that was in a call goes on in a forked child too.

        Raises:
            ConnectionAbortedError: this is another process.
        """
        if os.getpid() != self._process:
            raise ConnectionAbortedError("the process was forked during the call")
