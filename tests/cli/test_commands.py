"""The command line as a person uses it: real processes, one gateway, and what stands on the terminal afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jwt
import pytest

from messageflow.cli.bench import summarize
from tests.ports import free_port
from tests.support import Running, running
from tests.waiting import patience

SECONDS = 30
COMMAND = (sys.executable, "-m", "messageflow.cli")


class Terminal:
    """A terminal of the person whose files are in `data_dir`: what `serve --dev` leaves there is all it knows."""

    def __init__(self, data_dir: Path) -> None:
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
        self._environment["MESSAGEFLOW_DATA_DIR"] = str(data_dir)

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*COMMAND, *arguments),
            env=self._environment | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=patience(SECONDS),
        )

    @contextmanager
    def listening(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run `listen` from the moment it is connected until the block ends."""
        process = subprocess.Popen(
            (*COMMAND, "listen", *arguments),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("listening as ")
            yield process
        finally:
            process.kill()
            process.communicate()


def lines(process: subprocess.Popen[str], count: int) -> list[dict[str, object]]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def gateway(data_dir: Path) -> Iterator[Running]:
    with running(("serve", "--dev"), data_dir, keys=False) as started:
        yield started


@pytest.fixture
def terminal(gateway: Running, data_dir: Path) -> Terminal:
    assert gateway.process.poll() is None
    return Terminal(data_dir)


def test_push_is_heard_by_its_user_in_order(terminal: Terminal) -> None:
    with terminal.listening("--user", "alice", "--count", "2") as listener:
        assert terminal("push", "alice", "report/ready", '{"id": 7}').returncode == 0
        assert terminal("push", "bob", "report/ready", '{"id": 8}').returncode == 0
        assert terminal("push", "alice", "report/gone").returncode == 0
        heard = lines(listener, 2)
        assert listener.wait(patience(SECONDS)) == 0
    assert [line["data"] for line in heard] == [
        {"type": "report/ready", "payload": {"id": 7}},
        {"type": "report/gone", "payload": None},
    ]
    assert [line["channel"] for line in heard] == ["#alice", "#alice"]


def test_publication_is_heard_by_who_has_the_channel_in_the_token(terminal: Terminal) -> None:
    with terminal.listening("-u", "carol", "-c", "news", "-n", "1") as listener:
        assert terminal("publish", "news", "-", stdin='[1, "two", 3.0]').returncode == 0
        assert lines(listener, 1)[0]["data"] == [1, "two", 3.0]


def test_broadcast_is_heard_by_everyone(terminal: Terminal) -> None:
    with terminal.listening("-u", "dave", "-n", "1") as listener:
        assert terminal("broadcast", "hello", '{"n": 1}').returncode == 0
        (heard,) = lines(listener, 1)
    assert (heard["channel"], heard["data"]) == ("*", {"type": "hello", "payload": {"n": 1}})


def test_receipt_is_shown_to_a_person_and_to_a_program(terminal: Terminal) -> None:
    assert terminal("push", "erin", "x").stdout == "#erin #1, stored by the operating system\n"
    receipt = json.loads(terminal("push", "erin", "x", "--json").stdout)
    assert (receipt["channel"], receipt["offset"], receipt["ack"]) == ("#erin", 2, "os")


def test_token_names_user_and_channels_and_ends_in_time(terminal: Terminal, data_dir: Path) -> None:
    secret = json.loads((data_dir / "dev.json").read_text())["token_secret"]
    token = terminal("token", "frank", "--ttl", "10m", "-c", "news", "-c", "sport").stdout.strip()
    claims = jwt.decode(token, secret, ["HS256"])
    assert (claims["sub"], claims["channels"]) == ("frank", ["news", "sport"])
    assert 599 < claims["exp"] - claims["iat"] <= 600
    assert "allow" not in claims
    allowed = terminal("token", "frank", "--allow", "news:*", "--allow", "org:*=history").stdout.strip()
    assert jwt.decode(allowed, secret, ["HS256"])["allow"] == ["news:*", "org:*=history"]


@pytest.mark.parametrize(
    ("arguments", "variables", "part"),
    [
        (("push", "alice", "x", "--url", "http://127.0.0.1:1"), {}, "no gateway answers at http://127.0.0.1:1"),
        (("push", "alice", "x"), {"MESSAGEFLOW_API_KEY": "k" * 32}, "does not accept the API key"),
        (("publish", "nosuch:channel", "1"), {}, "error 102: unknown channel"),
        (("token", "alice"), {"MESSAGEFLOW_TOKEN_SECRET": "short"}, "32 are the least"),
        (("listen", "-u", "alice"), {"MESSAGEFLOW_TOKEN_SECRET": "t" * 32}, "error 3500: invalid token"),
        (("listen", "-u", "grace", "-n", "1", "-t", "300ms"), {}, "0 of 1 arrived within 0.3 s"),
        (
            ("listen", "-u", "grace", "-t", "300ms", "--url", "http://127.0.0.1:1"),
            {},
            "arrived within 0.3 s (no connection was made)",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    terminal: Terminal, arguments: Sequence[str], variables: dict[str, str], part: str
) -> None:
    done = terminal(*arguments, **variables)
    assert done.returncode == 1
    assert done.stdout == ""
    assert part in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_listening_for_a_time_only_ends_well(terminal: Terminal) -> None:
    assert terminal("listen", "-u", "heidi", "-t", "1s").returncode == 0


def test_listening_ends_on_ctrl_c_without_a_word(terminal: Terminal) -> None:
    with terminal.listening("-u", "ivan") as listener:
        listener.send_signal(signal.SIGINT)
        _, said = listener.communicate(timeout=patience(SECONDS))
        assert (listener.returncode, said.strip()) == (130, "")


def test_bench_shows_its_figures(terminal: Terminal) -> None:
    done = terminal("bench", "--pushes", "20", "--batch", "10", "--subscribers", "3", "--publications", "5")
    assert done.returncode == 0, done.stderr
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert [row.rpartition(" ")[2] for row in rows] == ["/s", "/s", "ms", "ms", "15"]


def test_summary_of_a_run() -> None:
    found = summarize([number / 1000 for number in range(200, 0, -1)])
    assert (found.median, found.p99, found.number) == (0.101, 0.199, 200)


@pytest.mark.parametrize("flags", [(), ("--broker", "memory")], ids=["kept", "forgotten"])
def test_listener_comes_back_to_a_gateway_that_was_started_again(tmp_path: Path, flags: tuple[str, ...]) -> None:
    terminal = Terminal(tmp_path)
    with ExitStack() as stack:
        first = stack.enter_context(running(("serve", "--dev", *flags), tmp_path, keys=False, port=free_port()))
        listener = stack.enter_context(terminal.listening("-u", "alice", "-n", "1"))
        first.kill()
        stack.enter_context(running(("serve", "--dev", *flags), tmp_path, keys=False, port=first.port))
        assert listener.stderr is not None
        said = listener.stderr.readline()
        while "trying again in" in said:
            said = listener.stderr.readline()
        assert said == "listening as alice\n"
        if flags:
            assert "no longer reaches back" in listener.stderr.readline()
        assert terminal("push", "alice", "back").returncode == 0
        assert lines(listener, 1)[0]["data"] == {"type": "back", "payload": None}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_gateway_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with running(("serve", "--dev"), tmp_path, keys=False) as started:
        started.process.send_signal(number)
        assert started.process.wait(patience(SECONDS)) == code
        started.release()
    assert started.events("stopped")
    assert "Traceback" not in "".join(started.lines)


def test_port_that_is_taken_is_one_sentence(terminal: Terminal, gateway: Running) -> None:
    done = terminal("serve", "--dev", "--port", str(gateway.port), MESSAGEFLOW_LOG_FORMAT="json")
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {gateway.port}" in done.stderr
    assert "Traceback" not in done.stderr
