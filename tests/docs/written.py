"""What a page of the documentation says to write and to type, written and typed: files by name, commands by line."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.support import START_SECONDS, Running
from tests.waiting import patience

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
INSTALLED = Path(sys.executable).parent
GATEWAY = "http://127.0.0.1:8000"


class Written:
    """One page, in a directory of its own.

    Args:
        document: its name, below `docs`.
        directory: where what it says is written.
    """

    def __init__(self, document: str, directory: Path) -> None:
        self.text = (ROOT / "docs" / document).read_text()
        self.directory = directory / "project"
        self.directory.mkdir(parents=True)
        self.files = dict(FILE.findall(self.text))
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MESSAGEFLOW_", "PYTEST_", "DJANGO_"))},
            "XDG_DATA_HOME": str(directory / "home"),
            "MESSAGEFLOW_LOG_FORMAT": "json",
            "PATH": f"{INSTALLED}{os.pathsep}{os.environ['PATH']}",
        }
        for name, text in self.files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commands(self, heading: str) -> list[str]:
        """Return what the first console under a heading says to type."""
        section = self.text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
        (console, *_) = CONSOLE.findall(section)
        return [line[2:] for line in console.splitlines() if line.startswith("$ ")]

    def change(self, name: str, old: str, new: str) -> None:
        """Change a file, as the page says or as the test's own ports demand."""
        path = self.directory / name
        text = path.read_text()
        assert old in text, f"{name} has no {old}"
        path.write_text(text.replace(old, new))

    def type(self, command: str) -> str:
        """Carry out a command to its end; return what it says."""
        ran = subprocess.run(
            command,
            shell=True,
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=patience(60),
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    @contextmanager
    def gateway(self, command: str, **environment: str) -> Iterator[Running]:
        """Start a gateway, on a free port, until the block ends."""
        variables, words = split(f"{command} --port 0")
        process = self._started(words, {**variables, **environment}, stderr=subprocess.PIPE)
        started = Running(process)
        try:
            started.wait_until_started()
            assert process.poll() is None, "".join(started.lines)
            yield started
        finally:
            end(process)
            started.release()

    @contextmanager
    def server(self, command: str, option: str, **environment: str) -> Iterator[int]:
        """Start a web server, on a free port, until the block ends.

        Args:
            command: as the page has it, but for the port.
            option: what tells it the port, `{port}` in it.
            environment: variables beside its own.
        """
        port = free_port()
        variables, words = split(f"{command} {option.format(port=port)}")
        process = self._started(words, {**variables, **environment})
        try:
            wait_for_port(port, process)
            yield port
        finally:
            end(process)

    @contextmanager
    def running(self, command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command until the block ends."""
        variables, words = split(command)
        process = self._started(words, {**variables, **environment})
        try:
            yield process
        finally:
            end(process)

    def _started(
        self, words: Sequence[str], variables: Mapping[str, str], stderr: int | None = None
    ) -> subprocess.Popen[str]:
        environment = {**self.environment, **variables}
        return subprocess.Popen(words, cwd=self.directory, env=environment, stderr=stderr, text=True)


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a command sets for itself, and its words."""
    words = shlex.split(command)
    variables: dict[str, str] = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    return variables, words


def end(process: subprocess.Popen[str]) -> None:
    """End a process in its own way, and by force when it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(patience(START_SECONDS))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Return once somebody listens."""
    began = time.monotonic()
    while time.monotonic() - began < patience(2 * START_SECONDS):
        assert process.poll() is None, "it has ended"
        with ExitStack() as stack:
            try:
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=1))
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError("nobody listens")
