"""A directory for sockets: where it can be, and what is said where it cannot."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow.brokers.worker_link import socket_directory
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.errors import ConfigurationError


def bind(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No usual place: a root that is read-only, and nothing mounted."""
    monkeypatch.setattr(socket_directory, "PLACES", ("/nowhere", "/proc/self/nowhere"))
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def made() -> Iterator[SocketDirectory]:
    made = SocketDirectory()
    yield made
    made.remove()


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a path shorter than those of tests."""
    with tempfile.TemporaryDirectory(prefix="m-", dir="/tmp") as found:
        yield Path(found)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    found = tmp_path / ("long" * 30)
    found.mkdir()
    return found


def test_it_is_where_temporary_files_should_be_and_nobody_else_may_enter(
    made: SocketDirectory, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(short))
    made.make(bind)
    assert Path(made.path).parent == short
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o700
    assert os.listdir(made.path) == ["parent"]
    made.remove()
    assert list(short.iterdir()) == []


def test_a_place_with_a_long_path_is_passed_over(
    made: SocketDirectory, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(long))
    made.make(bind)
    assert len(made.socket) < 107
    assert list(long.iterdir()) == []


def test_without_a_usual_place_the_gateways_own_is_taken(nowhere: None, short: Path) -> None:
    made = SocketDirectory([short])
    made.make(bind)
    assert Path(made.path).parent == short


def test_without_any_place_it_says_what_to_do(
    nowhere: None, made: SocketDirectory, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(long))
    with pytest.raises(ConfigurationError, match=r"/nowhere.* Set TMPDIR to one, mount a tmpfs"):
        made.make(bind)


def test_what_a_cleaner_removed_is_made_again_under_its_name(made: SocketDirectory) -> None:
    made.make(bind)
    before = made.path
    shutil.rmtree(before)
    made.make(bind)
    assert made.path == before
    assert stat.S_IMODE(os.stat(before).st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_name_that_others_may_enter_meanwhile_is_not_taken_again(made: SocketDirectory, mode: int) -> None:
    made.make(bind)
    before = made.path
    shutil.rmtree(before)
    os.mkdir(before)
    os.chmod(before, mode)
    made.make(bind)
    assert made.path != before


def test_a_link_in_the_place_of_the_directory_is_not_followed(made: SocketDirectory, short: Path) -> None:
    made.make(bind)
    before = made.path
    shutil.rmtree(before)
    os.symlink(short, before)
    made.make(bind)
    assert made.path != before
    assert list(short.iterdir()) == []
    os.unlink(before)
