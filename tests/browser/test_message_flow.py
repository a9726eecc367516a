"""The first article's set-up, all its parts running: whichever of them is killed, the page comes back whole."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.starting import copy_example, make_environment
from tests.docs.written import wait_for_port
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]  # eight processes start, and each part once more
HEARTBEATS = {"MESSAGEFLOW_PING_INTERVAL": "1.5s", "MESSAGEFLOW_PONG_TIMEOUT": "1.4s"}
IDLE = "timeout 2500ms"  # in place of nginx's 60 s, which are too many to wait for


class Site:
    """The example, started.

    Args:
        directory: a copy of it.
        environment: of all parts.
    """

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment
        self.gateways = find_two_ports()
        self.port = free_port()
        nginx = {"127.0.0.1:5000": f"127.0.0.1:{self.port}", "timeout 60s": IDLE}
        ports = zip(("4567", "4568"), map(str, self.gateways), strict=True)
        self._write("nginx.conf", {**nginx, **dict(ports)})
        self._write("supervisord.conf", {"456%": f"{self.gateways[0] // 10}%"})
        with (directory / "said").open("w") as said:
            self.process = subprocess.Popen(
                ["./start"], cwd=directory, env=environment, stdout=said, stderr=said, text=True
            )

    @property
    def parts(self) -> list[str]:
        return ["nginx", "redis", "flask_app", *(f"gateway:gateway-{port}" for port in self.gateways)]

    def kill(self, part: str) -> None:
        """End a part and its workers as a crash would; supervisor starts it again."""
        command = ["supervisorctl", "-c", "supervisord.conf", "pid", part]
        while True:
            asked = subprocess.run(command, cwd=self.directory, env=self.environment, capture_output=True, check=True)
            if pid := int(asked.stdout):  # 0 where it is just being started
                return os.killpg(pid, signal.SIGKILL)

    def _write(self, name: str, changes: dict[str, str]) -> None:
        text = (self.directory / name).read_text()
        for old, new in changes.items():
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        (self.directory / name).write_text(text)


def find_two_ports() -> tuple[int, int]:
    """Return two free ports that end in 7 and 8, as the example's do."""
    first, second = free_port(), free_port()
    while first % 10 != 7 or second != first + 1:
        first, second = second, free_port()
    return first, second


@pytest.fixture
def site() -> Iterator[Site]:
    """Start all parts in a directory with a short name: a Unix socket's path has 107 bytes at most."""
    with TemporaryDirectory(prefix="mf-", ignore_cleanup_errors=True) as home:
        yield from start_parts(Path(home))


def start_parts(home: Path) -> Iterator[Site]:
    """Start all parts, and end them."""
    started = Site(copy_example("message_flow", home), make_environment(home, **HEARTBEATS))
    try:
        for port in (started.port, *started.gateways):
            wait_for_port(port, started.process)
        yield started
    finally:
        parts = []
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            parts = psutil.Process(started.process.pid).children()
        started.process.terminate()
        for each in parts:  # at once, where supervisor goes from one to the next and waits for each
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
        started.process.wait()


def send(page: Page, text: str) -> None:
    """Send the form until the application is there and has taken it."""
    lines = page.locator("#result li")
    for number in range(1, 200):
        page.fill("[name=message]", text)
        page.click("button")
        expect(lines).to_have_count(number)
        if "OK" in lines.first.inner_text():
            break
        page.wait_for_timeout(50)
    page.evaluate("document.getElementById('result').replaceChildren()")


def test_whichever_part_is_killed_the_page_comes_back_whole(site: Site, browser: Browser) -> None:
    page, heartbeats, done = browser.new_page(), list[str | bytes](), list[str]()
    page.on("websocket", lambda made: made.on("framereceived", lambda frame: heartbeats.append(frame)))
    page.goto(f"http://127.0.0.1:{site.port}/")
    expect(page.locator("#authenticated")).to_have_text("Yes")
    for part in ("nothing", *site.parts):
        if part != "nothing":
            site.kill(part)
        send(page, f"what was sent when {part} was killed")
        done.insert(0, f"Done with: what was sent when {part} was killed")
        while page.locator("#incoming li").count() < len(done):
            page.evaluate("dispatchEvent(new Event('online'))")  # spares the wait for its next attempt
            page.wait_for_timeout(100)
    said = page.locator("#incoming li").evaluate_all("lines => lines.map((line) => line.lastChild.textContent)")
    assert said == done  # all of it, once, in order
    expect(page.locator("#connected")).to_have_text("Online")

    page.evaluate("states = []; flow.onState((state) => states.push(state))")
    heartbeats.clear()
    while heartbeats.count("{}") < 3:  # over 2.5 s, and nginx has not taken the link for idle
        page.wait_for_timeout(100)
    assert page.evaluate("states") == []
    page.close()
    logs = {each.name for each in (site.directory / "log").iterdir() if each.stat().st_size}
    assert {"supervisord.log", "redis.log", "flask_app.log", "nginx-access.log"} <= logs
    assert sum(name.startswith("gateway-") for name in logs) == 2
