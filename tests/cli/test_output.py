"""What commands print when nobody takes it: they end quietly, or say that the output cannot be written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from messageflow.cli import main as cli
from messageflow.cli.output import OutputFailed, guarded, unguarded
from tests.brokers.redis.servers import Server
from tests.cli.test_commands import COMMAND, SECONDS, Terminal
from tests.support import Running, running
from tests.waiting import patience

SECRET = {"MESSAGEFLOW_TOKEN_SECRET": "t" * 32}
PRINTING = [
    ("token", "alice"),
    ("secret",),
    ("settings",),
    ("version",),
    ("--version",),
    ("--help",),
    ("serve", "--help"),
]
BENCH = ("bench", "--pushes", "5", "--batch", "5", "--subscribers", "2", "--publications", "2")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def gateway(data_dir: Path) -> Iterator[Running]:
    with running(("serve", "--dev"), data_dir, keys=False) as started:
        yield started


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


def environment(data_dir: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    return kept | {"MESSAGEFLOW_DATA_DIR": str(data_dir)}


def into_nothing(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command whose stdout is a pipe that nobody reads; return its exit code and what it complained of."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            (*COMMAND, *arguments), env=env, stdout=writer, stderr=subprocess.PIPE, timeout=patience(SECONDS)
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr.decode()


def onto_a_full_disk(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command whose stdout has no room; return its exit code and what it complained of."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            (*COMMAND, *arguments), env=env, stdout=full, stderr=subprocess.PIPE, timeout=patience(SECONDS)
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_command_that_nobody_reads_ends_without_a_word(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert into_nothing(*arguments, env=environment(tmp_path) | SECRET) == (141, "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_command_that_finds_no_room_says_so(arguments: tuple[str, ...], tmp_path: Path) -> None:
    sentence = f"messageflow: the output cannot be written: {os.strerror(errno.ENOSPC)}\n"
    assert onto_a_full_disk(*arguments, env=environment(tmp_path) | SECRET) == (1, sentence)


@pytest.mark.parametrize(
    "arguments", [("push", "alice", "t"), ("push", "alice", "t", "--json"), ("publish", "news", "1"), BENCH]
)
def test_commands_that_speak_to_a_gateway_do_the_same(
    gateway: Running, data_dir: Path, arguments: tuple[str, ...]
) -> None:
    assert gateway.process.poll() is None
    assert into_nothing(*arguments, env=environment(data_dir)) == (141, "")
    code, said = onto_a_full_disk(*arguments, env=environment(data_dir))
    assert (code, said.count("\n"), "the output cannot be written" in said) == (1, 1, True)


def test_the_doctor_does_the_same(redis: Server, tmp_path: Path) -> None:
    assert into_nothing("doctor", "--broker", redis.url, env=environment(tmp_path)) == (141, "")
    code, said = onto_a_full_disk("doctor", "--broker", redis.url, env=environment(tmp_path))
    assert (code, said.count("\n"), "the output cannot be written" in said) == (1, 1, True)


def test_a_listener_that_nobody_reads_ends_and_does_not_reconnect(gateway: Running, data_dir: Path) -> None:
    """`listen | head -1` reconnected for ever, as if the gateway had gone."""
    terminal = Terminal(data_dir)
    with terminal.listening("--user", "judy") as listener:
        reader = subprocess.Popen(
            ("head", "-1"), stdin=listener.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert listener.stdout is not None
        listener.stdout.close()  # the reader's copy alone is left
        listener.stdout = None
        assert terminal("push", "judy", "first").returncode == 0
        reader.wait(patience(SECONDS))
        for _ in range(2):  # one may still have found room in the pipe
            assert terminal("push", "judy", "next").returncode == 0
        assert listener.wait(patience(SECONDS)) == 141
        assert listener.stderr is not None
        assert listener.stderr.read() == ""


def test_a_listener_that_finds_no_room_says_so(gateway: Running, data_dir: Path) -> None:
    with open("/dev/full", "wb") as full:
        listener = subprocess.Popen(
            (*COMMAND, "listen", "-u", "kim"), env=environment(data_dir), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert listener.stderr is not None
    with listener.stderr:
        assert listener.stderr.readline() == "listening as kim\n"
        assert Terminal(data_dir)("push", "kim", "t").returncode == 0
        assert listener.wait(patience(SECONDS)) == 1
        assert listener.stderr.read().startswith("messageflow: the output cannot be written")


def test_an_application_under_run_has_the_streams_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = sys.stdout
    with guarded():
        assert sys.stdout is not outer
        with unguarded():
            assert sys.stdout is outer
        assert sys.stdout is not outer
    assert sys.stdout is outer


def test_an_error_of_the_network_is_none_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise ConnectionResetError(errno.ECONNRESET, "the peer has gone")

    monkeypatch.setattr("messageflow.cli.secret.command", command)
    result = CliRunner().invoke(cli.main, ["secret"])
    assert isinstance(result.exception, ConnectionResetError)
    assert not isinstance(result.exception, OutputFailed)
