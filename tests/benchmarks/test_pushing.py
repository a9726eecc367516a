"""The pushing processes: what they are asked to push is stored, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.pushing import AtOnce, Backend, Job, in_batches, one_after_another, our_flow, push
from benchmarks.servers.base import running
from benchmarks.servers.gateway import IN_MEMORY, gateway, metric

USERS = [f"user-{number % 4}" for number in range(200)]


@pytest.mark.slow
def test_each_way_of_pushing_stores_every_push_once(tmp_path: Path) -> None:
    jobs: list[tuple[Job, int]] = [(one_after_another, 1), (in_batches, 2), (AtOnce(8), 2)]
    with running(gateway(tmp_path, IN_MEMORY), tmp_path) as process, our_flow(process.server.port) as flow:
        for rounds, (job, processes) in enumerate(jobs, start=1):
            work = push(job, process.server.port, USERS, processes)
            assert work.pushes == len(USERS)
            assert work.seconds > 0 < work.cpu_seconds
            assert [flow.history(f"#user-{number}").offset for number in range(4)] == [50 * rounds] * 4
        assert metric(process.server.port, "messageflow_sessions") == 0


@pytest.mark.slow
def test_a_steady_backend_tells_what_it_has_receipts_for(tmp_path: Path) -> None:
    with running(gateway(tmp_path, IN_MEMORY), tmp_path) as process, our_flow(process.server.port) as flow:
        with Backend(process.server.port, ["*", "alice"], 500) as backend:
            backend.begin()
            time.sleep(0.3)
            told = backend.end()
        assert told.newest == {channel: flow.history(channel).offset for channel in ("*", "#alice")}
        assert sum(told.newest.values()) == told.pushes > 1
