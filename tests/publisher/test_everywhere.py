"""`flow.push` wherever Python runs: docs/task-queues.md, done as it says, all of it at once, before one gateway."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from messageflow import Flow
from tests.brokers.redis.servers import Server, wait_until
from tests.docs.written import Written
from tests.ports import free_port
from tests.support import API_KEY, running

SERVED = {"sync": 5001, "gthread": 5002, "gevent": 5003, "uvicorn": 5004, "uwsgi": 5005}
"""The ports of the page, by what is served there and the user to whom its request pushes."""
FEWER = {"dramatiq actors": "dramatiq actors --processes 1 --threads 1"}


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """A flow to a gateway before which all that the page says is under way."""
    directory = tmp_path_factory.mktemp("everywhere")
    ports = {str(port): str(free_port()) for port in SERVED.values()}
    started: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        redis = Server(directory)
        stack.callback(redis.stop)
        gateway = stack.enter_context(running(("serve", "--broker", "memory"), directory / "gateway"))
        written = Written("task-queues.md", directory)
        written.environment |= {
            "MESSAGEFLOW_URL": gateway.url,
            "MESSAGEFLOW_API_KEY": API_KEY,
            "REDIS_URL": redis.url,
            "RQ_REDIS_URL": redis.url,
            "PYTHONPATH": str(written.directory),
        }
        for command in re.findall(r"^\$ (?!pip)(.*)$", written.text, re.MULTILINE):
            own = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: ports[found[0]], command)
            started.append(stack.enter_context(written.running(own)))
        for user, port in SERVED.items():
            wait_until(lambda: is_answered(f"http://127.0.0.1:{ports[str(port)]}/{user}"), seconds=50)  # noqa: B023
        yield stack.enter_context(Flow(gateway.url, api_key=API_KEY))
        for each in started:  # all at once, for some take two seconds
            each.terminate()


def is_answered(url: str) -> bool:
    try:
        return httpx.post(url, timeout=10).status_code == 204
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "user", ["rq", "dramatiq", "arq", "cron", "thread", "process", "another process", "imported", *SERVED]
)
def test_a_push_from_there_is_stored(flow: Flow, user: str) -> None:
    wait_until(lambda: flow.history(f"#{user}", limit=0).offset > 0, seconds=50)
    assert flow.history(f"#{user}").publications[0].data["type"] in ("report/ready", "application/started")
