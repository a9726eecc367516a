"""Whose development gateway a program finds: that of its own project, and no other."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from messageflow.publisher.discovery import DevFile, load_dev_file
from messageflow.publisher.projects import MARKERS, find_root, find_state_dir, locate_state_dir
from tests.ports import free_port
from tests.support import START_SECONDS, Running, running

PUSH = """
import sys
from messageflow import Flow
from messageflow.errors import MessageflowError

try:
    print(Flow(timeout=2.0).push("alice", "t").offset)
except MessageflowError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with a home of their own, in which they have their projects."""
    monkeypatch.delenv("MESSAGEFLOW_DATA_DIR", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return (tmp_path / "home").resolve()


def made(directory: Path, *markers: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for marker in markers:
        (directory / marker).mkdir() if marker.startswith(".") else (directory / marker).touch()
    return directory


def begin(directory: Path) -> Path:
    """Leave what a development gateway does that is started there."""
    state = locate_state_dir(directory=directory)
    assert state is not None
    state.mkdir(parents=True, exist_ok=True)
    (state / "dev.json").write_text("{}")
    return state


Find = Callable[[Path], Path | None]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Find:
    """Return what is found from a directory."""

    def find(directory: Path) -> Path | None:
        monkeypatch.chdir(directory)
        return find_state_dir()

    return find


@pytest.mark.parametrize("marker", MARKERS)
def test_a_project_is_marked_by_what_lies_in_its_root(home: Path, marker: str) -> None:
    root = made(home / "one", marker)
    assert find_root(made(root / "package" / "deep")) == find_root(root) == root
    assert find_root(home) is None


def test_the_home_is_no_project_of_what_lies_in_it(home: Path) -> None:
    made(home, ".git")
    assert find_root(made(home / "one")) is None
    assert find_root(home) == home


@pytest.mark.parametrize("markers", [(), ("pyproject.toml",), (".git",)])
def test_a_subfolder_finds_the_gateway_of_its_project(home: Path, found: Find, markers: tuple[str, ...]) -> None:
    root = made(home / "one", *markers)
    state = begin(root)
    assert found(made(root / "package" / "deep")) == found(root) == state
    assert found(made(home / "two", *markers)) is None
    assert found(home) is None


def test_a_part_of_a_repository_finds_its_own_gateway_before_that_of_the_whole(home: Path, found: Find) -> None:
    whole = begin(made(home / "one", ".git"))
    part = made(home / "one" / "part", "pyproject.toml")
    assert found(part) == whole
    own = begin(part)
    assert found(part) == own != whole
    assert (
        found(
            made(
                home / "one",
            )
        )
        == whole
    )


def test_a_project_within_another_directory_never_takes_the_gateway_of_that(home: Path, found: Find) -> None:
    begin(made(home / "code"))
    assert found(made(home / "code" / "one", "requirements.txt")) is None


def test_projects_of_the_same_name_are_two(home: Path) -> None:
    assert locate_state_dir(directory=made(home / "a" / "shop")) != locate_state_dir(
        directory=made(home / "b" / "shop")
    )


def test_a_directory_that_was_named_is_taken_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(home / "own"))
    assert locate_state_dir(directory=made(home / "one", ".git")) == find_state_dir() == home / "own"


# Real gateways and real programs


def start(stack: ExitStack, directory: Path, *flags: str, port: int = 0) -> Running:
    return stack.enter_context(running(("serve", "--dev", *flags), None, cwd=directory, keys=False, port=port))


def push(directory: Path, script: Path | None = None, *arguments: str) -> str:
    """Push as a program in that directory does; return what it prints."""
    command = [sys.executable, *(arguments or ([str(script)] if script else ["-c", PUSH]))]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    return done.stdout.strip() or done.stderr


@contextmanager
def two(home: Path) -> Iterator[tuple[Path, Path, Running, Running]]:
    one, other = made(home / "one", "pyproject.toml"), made(home / "two", "pyproject.toml")
    with ExitStack() as stack:
        yield one, other, start(stack, one, port=free_port()), start(stack, other, port=free_port())


def left_by(directory: Path) -> DevFile:
    state = locate_state_dir(directory=directory)
    assert state is not None
    left = load_dev_file(state)
    assert left is not None
    return left


def test_two_projects_share_nothing(home: Path) -> None:
    with two(home) as (one, other, first, second):
        assert [push(one), push(made(one / "sub")), push(one)] == ["1", "2", "3"]
        assert push(other) == "1"
        for name in ("api_key", "token_secret", "url"):
            assert getattr(left_by(one), name) != getattr(left_by(other), name)
        (one / "script.py").write_text(PUSH)
        assert push(other, one / "script.py") == "4"  # a script of project one, whoever runs it from where
        assert "there is no development gateway" in push(home)
        assert str(one) in push(home)
        assert (first.terminate(), second.terminate()) == (0, 0)


@pytest.mark.parametrize("flags", [(), ("--workers", "2")])
def test_a_gateway_that_says_it_has_started_can_be_found(home: Path, flags: tuple[str, ...]) -> None:
    project = made(home / "one")
    with ExitStack() as stack:
        gateway = start(stack, project, *flags)
        assert left_by(project).url == gateway.url
        gateway.terminate()
        assert left_by(project).url == ""


@pytest.mark.parametrize("ended", ["terminated", "killed"])
@pytest.mark.parametrize("which", [0, 1])
def test_whichever_ended_a_script_never_reaches_the_other(home: Path, ended: str, which: int) -> None:
    """The survivor even takes the port of the one that ended."""
    with two(home) as (*projects, first, second), ExitStack() as stack:
        gone, stays = (first, second)[which], (first, second)[1 - which]
        projects_ = [projects[0], projects[1]]
        end = {"terminated": gone.terminate, "killed": gone.kill}[ended]
        end()
        stays.terminate()
        stack.enter_context(running(("serve", "--dev"), None, cwd=projects_[1 - which], keys=False, port=gone.port))
        said = push(projects_[which])
        assert said.startswith("GatewayUnreachable"), said
        assert "nothing was stored" in said
        assert push(projects_[1 - which]) == "1"


TESTS = {
    "pytest": (("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"), "def test_it():\n    go()\n"),
    "unittest": (
        ("-m", "unittest", "test_it"),
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        go()\n",
    ),
    "a script of unittest": (
        ("test_it.py",),
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        go()\nunittest.main()\n",
    ),
    "at import": (("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"), "go()\ndef test_it(): pass\n"),
    "a thread": (
        ("-m", "unittest", "test_it"),
        "import threading, unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
        "        t = threading.Thread(target=go)\n        t.start()\n        t.join()\n",
    ),
}


@pytest.mark.parametrize("kind", TESTS)
def test_a_test_run_pushes_nothing_into_the_development_gateway(home: Path, kind: str) -> None:
    project = made(home / "one", "pyproject.toml")
    command, body = TESTS[kind]
    (project / "test_it.py").write_text(
        "from messageflow import Flow\nfrom messageflow.errors import GatewayUnreachable\n\ndef go():\n"
        "    try:\n        print('stored', Flow().push('alice', 't'))\n"
        "    except GatewayUnreachable as error:\n        open('said', 'w').write(str(error))\n\n" + body
    )
    with ExitStack() as stack:
        start(stack, project)
        push(project, None, *command)
        assert "this is a test run" in (project / "said").read_text()
        assert push(project) == "1"


def test_the_next_free_port_is_taken_and_said_aloud(home: Path) -> None:
    with socket.socket() as taken, ExitStack() as stack:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", BEGIN, str(port)]
        process = subprocess.Popen(command, cwd=made(home / "one"), stderr=subprocess.PIPE, text=True)
        stack.callback(process.communicate, timeout=START_SECONDS)
        stack.callback(process.terminate)
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or " on http://" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)
    assert f"port {port} is taken" in lines[-2]
    assert f"http://127.0.0.1:{port}" not in lines[-1]


BEGIN = """
import sys
from messageflow.cli import start

start.PORT = int(sys.argv[1])
from messageflow.cli.main import main

main(["serve", "--dev", "--log-level", "error"])
"""
