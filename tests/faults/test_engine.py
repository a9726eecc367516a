"""The Redis of a run does what its faults need: it keeps what it acknowledged, or loses exactly the end of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.faults.clients import until
from tests.faults.engine import Engine

Opened = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_engine(*, replicated: bool) -> AsyncIterator[Engine]:
        engine = Engine(tmp_path, "always", 2, direct=1, replicated=replicated, chance=random.Random(1))
        try:
            await engine.start()
            yield engine
        finally:
            await engine.stop()

    return open_engine


async def through(engine: Engine, which: int, *command: str) -> object:
    """Ask through the link of a gateway, or of a producer after these."""
    async with Redis(port=[*engine.links, *engine.producer_links][which].port, single_connection_client=True) as client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_a_killed_server_comes_back_with_what_it_acknowledged(opened: Opened) -> None:
    async with opened(replicated=False) as engine:
        await through(engine, 0, "SET", "kept", "yes")
        assert await engine.restart(0)
        assert await through(engine, 1, "GET", "kept") == b"yes"


async def test_a_failover_loses_the_end_and_the_links_lead_to_the_new_primary(opened: Opened) -> None:
    async with opened(replicated=True) as engine:
        for _ in range(2):  # the old primary follows the new one, and can take its place again
            old = engine.primary
            await through(engine, 0, "SET", "kept", "yes")
            failing_over = asyncio.create_task(engine.fail_over(0.5))
            assert await until(lambda: int(engine.cut_off), 10)
            await through(engine, 0, "SET", "late", "yes")
            assert await failing_over > 0
            assert engine.primary is not old
            assert await through(engine, 0, "GET", "kept") == b"yes"
            assert await through(engine, 1, "GET", "late") is await through(engine, 2, "GET", "late") is None


async def test_a_frozen_server_stands_still_and_goes_on(opened: Opened) -> None:
    async with opened(replicated=False) as engine:
        assert await engine.primary.freeze(0.1)
        assert await through(engine, 0, "PING")


async def test_what_is_done_meanwhile_excuses_a_start_that_failed(opened: Opened) -> None:
    async with opened(replicated=False) as engine:
        before = engine.mark
        assert engine.quiet_since(before)
        with engine.disturbed():
            during = engine.mark
            assert not engine.quiet_since(before)
        assert not engine.quiet_since(before)
        assert not engine.quiet_since(during)
        assert engine.quiet_since(engine.mark)
