"""The connections of a flow to one server: who fails gives back what was taken."""

from __future__ import annotations

import time

import pytest

from messageflow.client_io.blocking_io import BLOCKING
from messageflow.client_io.kernel import Attempt, Broken, ClientConnection, run_now
from messageflow.client_io.pool import CONNECTIONS, ConnectionPool, exchange


def failing(name: str) -> ConnectionPool:
    """Return a pool to a server that cannot be reached."""

    async def dial(limit: float) -> ClientConnection:
        raise Broken("nobody is there")

    return ConnectionPool(BLOCKING, dial, name)


def test_attempts_that_fail_use_no_connections_up() -> None:
    pool = failing("away")
    for _ in range(2 * CONNECTIONS):
        attempt = Attempt(time.monotonic() + 0.5)
        with pytest.raises(Broken, match="nobody is there"):
            run_now(exchange([(pool, b"PING", 1)], attempt))
        assert not attempt.sent


class Late:
    """A connection on which no reply comes in time, though nothing shows."""

    closed = False

    def is_quiet(self) -> bool:
        return True

    def is_reusable(self) -> bool:
        return True

    async def send(self, data: bytes, limit: float) -> None:
        pass

    async def receive(self, limit: float) -> object:
        raise TimeoutError

    def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        raise AssertionError("there was no fork")


def test_a_connection_whose_reply_is_late_is_closed_and_nobody_elses() -> None:
    dialled: list[Late] = []

    async def dial(limit: float) -> ClientConnection:
        dialled.append(Late())
        return dialled[-1]

    pool = ConnectionPool(BLOCKING, dial, "slow")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            run_now(exchange([(pool, b"PING", 1)], Attempt(time.monotonic() + 5)))
    assert [wire.closed for wire in dialled] == [True, True]
