"""Two gateways and their Redis on networks of their own, and a link that goes down: no reset, no answer, no route.

Everything happens in network namespaces that vanish with the processes and the thread that made them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.brokers.redis.servers import Server, wait_until
from tests.gateway.nodes import DEADLINE, SECONDS, Page, call, flow_for, trouble
from tests.support import API_KEY, TOKEN_SECRET, Running

NEW_NETWORK = 0x40000000
TOOLS = ("ip", "unshare", "nsenter")
MISSING = [name for name in TOOLS if shutil.which(name) is None]


class Remote(Running):
    """A gateway that listens elsewhere."""

    def __init__(self, process: subprocess.Popen[str], host: str) -> None:
        self.host = host
        super().__init__(process)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def websocket(self) -> str:
        return f"ws://{self.host}:{self.port}/connection/websocket"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, (command, done.stderr)


def in_a_network_of_its_own(work: Callable[[], None]) -> None:
    """Do some work in a thread that has a network of its own; what it starts lives there too."""
    failed: list[BaseException] = []

    def isolated() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
                pytest.skip(f"network namespaces cannot be made here: {os.strerror(ctypes.get_errno())}")
            run("ip", "link", "set", "lo", "up")
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=isolated)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def connect(number: int, pid: int, name: str, network: str) -> None:
    """Lay a link between this network and a process': `<name><number>` at this end, `<name>` at the other."""
    run("ip", "link", "add", f"{name}{number}", "type", "veth", "peer", "name", name, "netns", str(pid))
    run("ip", "address", "add", f"{network}.1/24", "dev", f"{name}{number}")
    run("ip", "link", "set", f"{name}{number}", "up")
    there = ("nsenter", "--target", str(pid), "--net", "ip")
    run(*there, "address", "add", f"{network}.2/24", "dev", name)
    run(*there, "link", "set", name, "up")


@contextmanager
def gateway(number: int, redis: Server, data_dir: Path) -> Iterator[Remote]:
    """Run a gateway in a network of its own: `redis<number>` leads from it to Redis, `page<number>` to its clients."""
    host = f"10.214.{number}.2"
    serve = [sys.executable, "-m", "messageflow.cli", "serve", "--host", host, "--port", "0", "--tls-terminated"]
    serve += ["--broker", f"redis://10.213.{number}.1:{redis.port}", "--broker-deadline", str(DEADLINE)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")} | {
        "MESSAGEFLOW_DATA_DIR": str(data_dir),
        "MESSAGEFLOW_LOG_FORMAT": "json",
        "MESSAGEFLOW_API_KEY": API_KEY,
        "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
    }
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'read go && exec "$@"', "sh", *serve],
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    own = os.readlink("/proc/thread-self/ns/net")
    try:
        wait_until(lambda: os.readlink(f"/proc/{process.pid}/ns/net") != own)
        connect(number, process.pid, "redis", f"10.213.{number}")
        connect(number, process.pid, "page", f"10.214.{number}")
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        started = Remote(process, host)
        started.wait_until_started()
        assert process.poll() is None, "".join(started.lines)
        yield started
        started.terminate()
        started.release()
        process.stdin.close()
    finally:
        process.kill()
        process.wait()


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, condition, SECONDS)


async def cut_and_mend(here: Remote, there: Remote) -> None:
    """Take the link between the first gateway and Redis down for a while, and put it up again."""
    pages = [Page(here, "alice"), Page(there, "alice")]
    for page in pages:
        await page.open()
    with flow_for(here) as near, flow_for(there) as far:
        near.push("alice", "n", 0)
        for page in pages:
            await page.sees(0)
        run("ip", "link", "set", "redis1", "down")
        await until(lambda: trouble(here))
        for number in range(1, 6):
            far.push("alice", "n", number)
        await pages[1].sees(*range(6))
        assert not trouble(there)
        assert call(here, "push", user="alice", type="n", payload=99)[0] == 503
        assert pages[0].seen == [0]
        run("ip", "link", "set", "redis1", "up")
        await until(lambda: not trouble(here))
        near.push("alice", "n", 6)
        for page in pages:
            await page.sees(*range(7))
            assert page.link.close_code is None
            await page.close()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: apt-get install iproute2 util-linux")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
def test_a_link_that_goes_down_and_comes_up_again_loses_nothing(tmp_path: Path) -> None:
    def work() -> None:
        with ExitStack() as stack:
            redis = Server(tmp_path, "--bind", "0.0.0.0", "--protected-mode", "no")
            stack.callback(redis.stop)
            nodes = [stack.enter_context(gateway(number, redis, tmp_path / str(number))) for number in (1, 2)]
            asyncio.run(cut_and_mend(*nodes))

    in_a_network_of_its_own(work)
