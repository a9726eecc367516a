"""Tasks of a Celery worker push, each process of its pool over connections of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messageflow import Flow
from tests.brokers.redis.servers import Server, wait_until
from tests.support import API_KEY, Running, running

TASKS = """
import os, time
from celery import Celery
from messageflow import Flow

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue"}
flow = Flow()
flow.push("loaded", "worker/loaded", os.getpid())  # a connection is open when the pool forks


@app.task
def work(user):
    for percent in range(0, 101, 10):
        flow.push(user, "job/progress", {"percent": percent, "process": os.getpid()})
        time.sleep(0.02)
"""
USERS = [f"user-{number}" for number in range(8)]


@pytest.fixture
def gateway(own_server: Server, tmp_path: Path) -> Iterator[Running]:
    with running(("serve", "--broker", own_server.url), tmp_path / "gateway") as started:
        yield started


def payloads(flow: Flow, user: str) -> list[Any]:
    """Return what a user was sent."""
    return [each.data["payload"] for each in flow.history(f"#{user}", limit=20).publications]


@pytest.mark.parametrize("straight", [False, True], ids=["to the gateway", "straight to Redis"])
def test_tasks_report_to_their_users(gateway: Running, own_server: Server, straight: bool, tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    environment = {
        **os.environ,
        "MESSAGEFLOW_URL": own_server.url if straight else gateway.url,
        "MESSAGEFLOW_API_KEY": API_KEY,
        "PYTHONPATH": str(tmp_path),
    }
    asking = f"import tasks\nfor user in {USERS}: tasks.work.delay(user)"
    subprocess.run([sys.executable, "-c", asking], cwd=tmp_path, env=environment, check=True, timeout=60)
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2"]
    with (tmp_path / "log").open("w") as log, Flow(gateway.url, api_key=API_KEY) as flow:
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: all(flow.history(f"#{user}").offset == 11 for user in USERS), seconds=60)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
        told = {user: payloads(flow, user) for user in USERS}
        parent, *_ = payloads(flow, "loaded")
    assert all([each["percent"] for each in found] == list(range(0, 101, 10)) for found in told.values())
    processes = {each["process"] for found in told.values() for each in found}
    assert len(processes) == 2
    assert parent not in processes
    assert "Traceback" not in (tmp_path / "log").read_text()
