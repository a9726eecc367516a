"""A directory for sockets: where it can be, and what is said where it cannot."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow.brokers.worker_link import socket_directory
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.errors import ConfigurationError


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
    made.make()
    assert Path(made.path).parent == short
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o700
    assert os.listdir(made.path) == []
    made.remove()
    assert list(short.iterdir()) == []


def test_a_place_with_a_long_path_is_passed_over(
    made: SocketDirectory, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(long))
    made.make()
    assert len(made.requests) < 107
    assert list(long.iterdir()) == []


def test_without_a_usual_place_the_gateways_own_is_taken(nowhere: None, short: Path) -> None:
    made = SocketDirectory([short])
    made.make()
    assert Path(made.path).parent == short


def test_without_any_place_it_says_what_to_do(
    nowhere: None, made: SocketDirectory, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(long))
    with pytest.raises(ConfigurationError, match=r"/nowhere.* Set TMPDIR to one, mount a tmpfs"):
        made.make()
