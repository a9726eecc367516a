"""`messageflow run --reload`: which files count, and the process that is begun again on the port of the one before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import urllib3
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from messageflow.cli.reloading import sources
from messageflow.core.codes import RESTART
from messageflow.core.gateway_paths import WEBSOCKET_PATH
from tests.support import Running
from tests.waiting import patience, wait_until

T = TypeVar("T")
SECONDS = 40
FLASK = """
from flask import Flask
from messageflow import Flow

app = Flask(__name__)

@app.route("/")
def version():
    return {"version": 1, "offset": Flow().push("alice", "version").offset}
"""
CHANGED = FLASK.replace(
    '"version": 1', '"version": 1 + 1'
)  # of another size: within a second Python looks at that alone
STUCK = """
@app.route("/stuck")
def stuck():
    import time
    open("begun", "w").close()
    time.sleep(60)
"""


class Reloading(Running):
    """`run --reload`, and what it has said so far."""

    @property
    def ports(self) -> list[int]:
        """The port of each start."""
        return [int(str(record["port"])) for record in self.events("started")]

    def started(self, count: int) -> int:
        """Return the port of this start, counted from 1."""
        wait_until(lambda: len(self.ports) >= count, SECONDS)
        return self.ports[count - 1]

    def said(self, text: str) -> None:
        wait_until(lambda: any(text in line for line in self.lines), SECONDS)

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(patience(SECONDS))
        self.release()
        return code


@contextmanager
def reloading(directory: Path, *flags: str) -> Iterator[Reloading]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment |= {"MESSAGEFLOW_DATA_DIR": str(directory / "data"), "MESSAGEFLOW_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "messageflow.cli", "run", "shop:app", "--reload", "--port", "0", *flags]
    process = subprocess.Popen(command, env=environment, cwd=directory, stderr=subprocess.PIPE, text=True)
    found = Reloading(process)
    try:
        yield found
    finally:
        if process.poll() is None:
            found.end()
        found.release()


def get(port: int) -> dict[str, int]:
    found: dict[str, int] = urllib3.request(
        "GET", f"http://127.0.0.1:{port}/", timeout=patience(20), retries=False
    ).json()
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(FLASK)
    return path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_change_begins_it_again_on_the_same_port_with_all_that_was_pushed(shop: Path, workers: str) -> None:
    with reloading(shop.parent, "--workers", workers) as run:
        port = run.started(1)
        assert get(port) == {"version": 1, "offset": 1}
        shop.write_text(CHANGED)
        assert run.started(2) == port
        assert get(port) == {"version": 2, "offset": 2}
        assert run.end() == 130
    assert "Traceback" not in "".join(run.lines)


def read_close_code(page: ClientConnection) -> int | None:
    """Read what comes until the connection is closed."""
    while True:
        try:
            page.recv(SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_page_is_told_that_it_starts_again(shop: Path, workers: str) -> None:
    with reloading(shop.parent, "--workers", workers, "--allow-anonymous") as run:
        url = f"ws://127.0.0.1:{run.started(1)}{WEBSOCKET_PATH}"
        with connect(url, open_timeout=SECONDS) as page:
            page.send('{"id": 1, "connect": {}}')
            assert '"connect"' in str(page.recv(SECONDS))
            shop.write_text(CHANGED)
            assert read_close_code(page) == RESTART.code


GATED = """
import os, time
while not os.path.exists("gate"):
    time.sleep(0.02)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_comes_while_it_begins_again_waits_and_is_served(shop: Path, workers: str) -> None:
    with reloading(shop.parent, "--workers", workers) as run:
        port = run.started(1)
        shop.write_text(GATED + CHANGED)
        run.said("changed: shop.py")  # the one before has ended
        with ThreadPoolExecutor() as threads:
            asked = [threads.submit(get, port) for _ in range(3)]
            time.sleep(0.2)
            assert not any(one.done() for one in asked)
            (shop.parent / "gate").touch()
            assert {one.result()["version"] for one in asked} == {2}
        assert run.started(2) == port


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_comes_while_one_that_was_killed_begins_again_waits_too(shop: Path, workers: str) -> None:
    asks = "getpid" if workers == "1" else "getppid"
    shop.write_text(FLASK.replace('"version": 1', f'"version": __import__("os").{asks}()'))
    with reloading(shop.parent, "--workers", workers) as run:
        port = run.started(1)
        os.kill(get(port)["version"], signal.SIGSTOP)  # as one that is too busy to end
        shop.write_text(GATED + CHANGED)
        run.said("changed: shop.py")
        with ThreadPoolExecutor() as threads:
            asked = threads.submit(get, port)
            time.sleep(0.2)
            assert not asked.done()
            (shop.parent / "gate").touch()
            assert asked.result()["version"] == 2


def test_the_process_that_is_begun_was_made_ready_before_the_change(shop: Path) -> None:
    asks = FLASK.replace('"version": 1', '"version": __import__("os").getpid()')
    shop.write_text(asks)
    with reloading(shop.parent) as run:
        port = run.started(1)
        for start in (2, 3):
            now = get(port)["version"]
            until(lambda: len(children(run.process.pid)) == 2)
            ready = children(run.process.pid) - {now}
            shop.write_text(asks + f"# {start}\n")
            run.started(start)
            assert {get(port)["version"]} == ready
        until(lambda: len(children(run.process.pid)) == 2)
        left = children(run.process.pid)
        assert run.end() == 130
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))


def test_what_is_ready_ends_with_a_reloader_that_is_killed(shop: Path) -> None:
    asks = FLASK.replace('"version": 1', '"version": __import__("os").getpid()')
    shop.write_text(asks)
    with reloading(shop.parent) as run:
        serving = get(run.started(1))["version"]
        (ready,) = until(lambda: children(run.process.pid) - {serving})
        run.process.kill()
        until(lambda: not Path(f"/proc/{ready}").exists())
        os.kill(serving, signal.SIGTERM)
        assert run.end() == -signal.SIGKILL


def test_nobody_waits_for_what_cannot_start(shop: Path) -> None:
    with reloading(shop.parent) as run:
        port = run.started(1)
        shop.write_text("this is no Python")
        run.said("it is started again when a file changes")
        with pytest.raises(urllib3.exceptions.NewConnectionError):
            get(port)


def test_another_host_in_the_file_is_listened_on(shop: Path) -> None:
    settings = shop.parent / "messageflow.toml"
    settings.write_text('host = "127.0.0.1"\n')
    with reloading(shop.parent, "--config", str(settings)) as run:
        port = run.started(1)
        settings.write_text('host = "localhost"\n')
        assert run.started(2) == port
        assert get(port)["offset"] == 1
        settings.write_text('host = "127.0.0.1"\n')
        assert run.started(3) == port
        assert get(port)["offset"] == 2


def children(process: int) -> set[int]:
    """The processes that a process has started and that have not ended."""
    return {int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def until(condition: Callable[[], T]) -> T:
    """Return what a condition gives once that is true."""
    began = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - began < patience(SECONDS)
        time.sleep(0.02)
    return found


def test_what_cannot_start_is_started_again_once_it_is_mended(shop: Path) -> None:
    with reloading(shop.parent) as run:
        port = run.started(1)
        shop.write_text("this is no Python")
        run.said("it is started again when a file changes")
        shop.write_text(FLASK)
        assert run.started(2) == port
        assert run.end(signal.SIGTERM) == 0


def test_a_request_that_does_not_end_keeps_nobody_waiting(shop: Path) -> None:
    shop.write_text(FLASK + STUCK)
    with reloading(shop.parent) as run:
        port = run.started(1)
        ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/stuck')"
        asking = subprocess.Popen([sys.executable, "-c", ask], stderr=subprocess.DEVNULL)
        wait_until((shop.parent / "begun").exists, SECONDS)
        shop.write_text(FLASK)
        assert run.started(2) == port  # the grace of a start of its own is 30 s
        assert asking.wait(SECONDS) != 0


def test_flags_that_cannot_be_used_end_it(shop: Path) -> None:
    with reloading(shop.parent, "--no-such-flag") as run:
        assert run.process.wait(SECONDS) == 2


def test_source_files_alone_count(tmp_path: Path) -> None:
    for name in ("a.py", "pages/b.html", "c.toml", "deep/er/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in (
        ".git/e.py",
        "node_modules/f.py",
        "__pycache__/g.py",
        "venv/lib/h.py",
        "data.db",
        "style.css",
        "i.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".#k.py").symlink_to("nowhere")  # as Emacs locks a file
    found = {str(Path(path).relative_to(tmp_path)) for path in sources(tmp_path)}
    assert found == {"a.py", "pages/b.html", "c.toml", "deep/er/d.py"}


def test_a_file_that_is_written_anew_or_replaced_differs(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("one")
    first = sources(tmp_path)
    os.utime(path, ns=(1, 1))
    second = sources(tmp_path)
    assert first != second
    (tmp_path / "draft").write_text("two")
    os.utime(tmp_path / "draft", ns=(1, 1))
    (tmp_path / "draft").replace(path)
    assert sources(tmp_path) != second
