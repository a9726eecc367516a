"""A start waits for a Redis that cannot be reached yet, says so once, and ends at once for what no waiting heals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from messageflow.errors import BrokerError, Unanswered, Unavailable
from messageflow.gateway.broker_start import finish_unless_ended, start_patiently
from tests.brokers.redis.processes import Server
from tests.ports import free_port
from tests.support import API_KEY, TOKEN_SECRET, Running
from tests.waiting import wait_until

SECONDS = 30.0


class Start:
    """A start that fails so many times, in some way."""

    def __init__(self, failures: int, error: BrokerError) -> None:
        self.failures = failures
        self.error = error
        self.attempts = 0

    async def __call__(self) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("error", [Unavailable("refused"), Unanswered("too late")])
async def test_a_start_is_tried_again_and_waiting_is_said_once(
    error: BrokerError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    start = Start(3, error)
    await start_patiently(start, 60)
    assert start.attempts == 4
    assert logged(caplog) == ["broker_awaited", "broker_reached"]
    awaited, reached = (vars(record) for record in caplog.records)
    assert (awaited["attempt"], awaited["reason"], reached["attempt"]) == (1, str(error), 4)


@pytest.mark.parametrize(
    ("failures", "error", "patience"),
    [(1, BrokerError("wrong password"), 60.0), (1, Unavailable("refused"), 0.0)],
    ids=["what no waiting heals", "no patience"],
)
async def test_a_start_is_tried_once(
    failures: int, error: BrokerError, patience: float, caplog: pytest.LogCaptureFixture
) -> None:
    start = Start(failures, error)
    with pytest.raises(BrokerError) as raised:
        await start_patiently(start, patience)
    assert raised.value is error
    assert start.attempts == 1
    assert logged(caplog) == []


async def test_patience_ends_with_what_was_said_last() -> None:
    with pytest.raises(Unavailable, match="refused"):
        await start_patiently(Start(1_000, Unavailable("refused")), 0.3)


async def test_a_signal_ends_the_waiting_and_its_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    assert not await finish_unless_ended(start_patiently(Start(1_000, Unavailable("refused")), 60))
    assert signal.getsignal(signal.SIGTERM) == before


async def test_what_comes_to_its_end_or_fails_does_so_as_without() -> None:
    assert await finish_unless_ended(start_patiently(Start(0, Unavailable("")), 60))
    with pytest.raises(BrokerError, match="wrong"):
        await finish_unless_ended(start_patiently(Start(1, BrokerError("wrong password")), 60))


@contextmanager
def starting(flags: Sequence[str], data_dir: Path) -> Iterator[Running]:
    """Begin to start a gateway, which need not come about."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESSAGEFLOW_")}
    environment |= {"MESSAGEFLOW_LOG_FORMAT": "json", "MESSAGEFLOW_DATA_DIR": str(data_dir)}
    environment |= {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
    process = subprocess.Popen(
        [sys.executable, "-m", "messageflow.cli", "serve", "--port", "0", *flags],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    started = Running(process)
    try:
        yield started
    finally:
        if process.poll() is None:
            started.kill()
        started.release()


def test_a_gateway_started_before_its_redis_waits_for_it(tmp_path: Path) -> None:
    port = free_port()
    with starting(("--broker", f"redis://127.0.0.1:{port}", "--workers", "2"), tmp_path) as gateway:
        wait_until(lambda: len(gateway.events("broker_awaited")) == 2, SECONDS)
        assert all("Redis cannot be reached" in str(each["reason"]) for each in gateway.events("broker_awaited"))
        assert gateway.port == 0
        redis = Server(tmp_path, port=port)
        try:
            gateway.wait_until_started(SECONDS)
            assert gateway.port, gateway.lines
            assert len(gateway.events("broker_reached")) == 2
            assert not gateway.events("worker_died")
            assert gateway.terminate() == 0
        finally:
            redis.stop()


def test_sigterm_ends_a_gateway_that_waits(tmp_path: Path) -> None:
    flags = ("--broker", f"redis://127.0.0.1:{free_port()}", "--broker-start-timeout", "1h")
    with starting(flags, tmp_path) as gateway:
        wait_until(lambda: gateway.events("broker_awaited"), SECONDS)
        assert gateway.terminate() == 0
        gateway.release()
        assert gateway.events("stopped")
