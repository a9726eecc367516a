"""Where there is neither fork nor file locks nor uvloop, as on Windows; shown by taking them away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from messageflow import Flow
from messageflow.gateway import event_loop
from messageflow.publisher.discovery import load_dev_file
from tests.installing.test_publisher import PUSH
from tests.installing.without import POSIX, PUBLISHERS, command, only, run
from tests.support import API_KEY, TOKEN_SECRET, Running, running

APPLICATION = """
from messageflow import Flow
flow = Flow()

def app(environ, start_response):
    receipt = flow.push("alice", "shop/open")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(receipt.offset).encode()]
"""


@contextmanager
def without_posix(arguments: tuple[str, ...], directory: Path) -> Iterator[Running]:
    """Run `messageflow` without what POSIX has, until the block ends."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment = {**kept, "MESSAGEFLOW_DATA_DIR": str(directory / "data"), "MESSAGEFLOW_LOG_FORMAT": "json"}
    process = subprocess.Popen(
        command(POSIX, (*arguments, "--port", "0")), env=environment, cwd=directory, stderr=subprocess.PIPE, text=True
    )
    started = Running(process)
    try:
        started.wait_until_started()
        assert process.poll() is None, "".join(started.lines)
        yield started
    finally:
        if process.poll() is None:
            started.terminate()
        started.release()


def test_the_publisher_imports_and_pushes(tmp_path: Path) -> None:
    with running(("serve", "--broker", "memory"), tmp_path) as gateway:
        keys = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
        program = [sys.executable, "-c", POSIX + only(*PUBLISHERS) + PUSH]
        ran = run(program, {"MESSAGEFLOW_URL": gateway.url, **keys}.items())
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 ")


def test_serve_runs_on_plain_asyncio_and_keeps_its_streams(tmp_path: Path) -> None:
    for offset in (1, 2):
        with without_posix(("serve", "--dev"), tmp_path) as gateway:
            left = load_dev_file(tmp_path / "data")
            assert left is not None
            with Flow(gateway.url, api_key=left.api_key) as flow:
                receipt = flow.push("alice", "report/ready", {"id": 7})
        assert (receipt.offset, receipt.ack) == (offset, "os")
        assert gateway.process.returncode == 0


def test_run_serves_an_application_that_pushes(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    with without_posix(("run", "shop:app", "--dev"), tmp_path) as gateway, urlopen(gateway.url, timeout=20) as answer:
        assert answer.read() == b"1"


def test_a_page_is_served_by_plain_asyncio(tmp_path: Path) -> None:
    with without_posix(("serve", "--dev"), tmp_path) as gateway:
        environment = {"MESSAGEFLOW_DATA_DIR": str(tmp_path / "data")}.items()
        listening = subprocess.Popen(
            command(POSIX, ("listen", "--user", "alice", "--count", "2", "--timeout", "40", "--url", gateway.url)),
            env={**os.environ, **dict(environment)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert listening.stderr is not None
        assert "listening as alice" in listening.stderr.readline()
        pushing = ("push", "alice", "t", "[1]", "--url", gateway.url)
        for _ in range(2):
            assert run(command(POSIX, pushing), environment).returncode == 0
        out, err = listening.communicate(timeout=45)
    assert listening.returncode == 0, err
    assert [json.loads(line)["data"]["payload"] for line in out.splitlines()] == [[1], [1]]


def test_a_second_gateway_is_kept_out_of_a_directory_without_file_locks(tmp_path: Path) -> None:
    with without_posix(("serve", "--dev"), tmp_path) as first:
        environment = {"MESSAGEFLOW_DATA_DIR": str(tmp_path / "data")}.items()
        second = run(command(POSIX, ("serve", "--dev", "--port", "0")), environment)
        assert second.returncode == 1
        assert f"is in use by another gateway (process {first.process.pid})" in second.stderr
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(20)
    with without_posix(("serve", "--dev"), tmp_path) as third:
        assert third.process.poll() is None


def test_several_workers_are_refused(tmp_path: Path) -> None:
    ran = run(command(POSIX, ("serve", "--dev", "--workers", "2")), {"MESSAGEFLOW_DATA_DIR": str(tmp_path)}.items())
    assert ran.returncode == 1
    assert "workers is 2: on this system processes cannot share a listening socket; use --workers 1" in ran.stderr


def test_uvloop_is_used_where_it_is() -> None:
    async def kind() -> str:
        import asyncio

        return type(asyncio.get_running_loop()).__module__

    assert event_loop.run_loop(kind()).startswith("uvloop")
