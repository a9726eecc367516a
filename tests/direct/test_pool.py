"""The connections of a flow to one server: who fails gives back what was taken."""

from __future__ import annotations

import time

import pytest

from messageflow.direct.blocking import Blocking
from messageflow.direct.edge import Attempt, Broken, Wire, run_now
from messageflow.direct.pool import CONNECTIONS, Part, Pool, exchange


def failing(name: str) -> Pool:
    """Return a pool to a server that cannot be reached."""

    async def dial(limit: float) -> Wire:
        raise Broken("nobody is there")

    return Pool(Blocking(), dial, name)


def test_attempts_that_fail_use_no_connections_up() -> None:
    pool = failing("away")
    for _ in range(2 * CONNECTIONS):
        attempt = Attempt(time.monotonic() + 0.5)
        with pytest.raises(Broken, match="nobody is there"):
            run_now(exchange([Part(pool, [("PING",)])], attempt))
        assert not attempt.sent
