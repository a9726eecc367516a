"""The command line itself: its commands, its flags, its errors and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from messageflow.cli.main import COMMANDS, main
from messageflow.errors import ConfigurationError, GatewayUnreachable
from messageflow.gateway.settings_loading import OPTIONS, Option

HEAVY = ("uvicorn", "starlette", "cryptography", "asyncio", "rich", "websockets", "prometheus_client")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "TOKEN_LIFETIME_LIMIT", "ALLOWED_ORIGINS", "CONFIG"):
        monkeypatch.setenv(f"MESSAGEFLOW_{name}", "")  # so that what `run` sets is taken back at the end
        monkeypatch.delenv(f"MESSAGEFLOW_{name}")
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))
    return CliRunner()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(runner: CliRunner, name: str) -> None:
    result = runner.invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name}")


def test_help_lists_every_command(runner: CliRunner) -> None:
    output = runner.invoke(main, ["--help"]).output
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_is_printed(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(main, arguments).output.startswith("messageflow ")


def test_secrets_are_fresh_and_long_enough(runner: CliRunner) -> None:
    first, second = (runner.invoke(main, ["secret"]).output.strip() for _ in range(2))
    assert first != second
    assert len(first) >= 32


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: str(option.name))
@pytest.mark.parametrize("name", ["serve", "run"])
def test_every_setting_is_a_flag(runner: CliRunner, name: str, option: Option) -> None:
    assert option.flag in runner.invoke(main, [name, "--help"]).output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serve", "--ping-interval", "soon"], "ping_interval: 'soon' from --ping-interval will not do"),
        (["serve", "--port", "70000"], "at most 65535"),
        (["serve", "--allowed-origins", "https://a.example,b.example"], "allowed_origins"),
        (["serve", "--hots", "x"], "--host"),
        (["run"], "MODULE:APP"),
        (["push", "alice", "report/ready", "{id: 7}"], "this is not JSON"),
        (["push", "alice", "report/ready", "hello"], """a text needs quotes of its own: '"hello"'"""),
        (["push", "alice", "report/ready", "NaN"], "NaN is not in JSON"),
        (["push", "", "report/ready"], "this is empty"),
        (["push", "*", "report/ready"], "to reach everyone online: messageflow broadcast"),
        (["token", "*"], "everyone, not a user"),
        (["token", "alice", "--ttl", "30d"], "token_lifetime_limit"),
        (["token", "a\nb"], "no user"),
        (["token", "alice", "-c", "#bob"], "cannot be granted"),
        (["listen", "-u", "alice", "-c", "a b"], "no name of a channel"),
        (["listen", "--user", "*"], "everyone, not a user"),
        (["publish", "news"], "DATA"),
        (["token", "alice", "--ttl", "soon"], "must be a duration"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_explained_with_exit_code_2(runner: CliRunner, arguments: list[str], part: str) -> None:
    result = runner.invoke(main, arguments, env={"MESSAGEFLOW_TOKEN_SECRET": "t" * 32})
    assert result.exit_code == 2
    assert part in result.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serve"], "api_key is not set"),
        (["serve", "--dev", "--host", "0.0.0.0"], "--dev works on loopback only"),
        (["serve", "--config", "none.toml"], "none.toml cannot be read"),
        (["serve", "--api-key", "short", "--token-secret", "t" * 32], "api_key is 5 bytes long"),
        (["run", "no_such_module_here:app"], "there is no module 'no_such_module_here'"),
    ],
)
def test_what_cannot_work_is_one_sentence_with_exit_code_1(runner: CliRunner, arguments: list[str], part: str) -> None:
    result = runner.invoke(main, arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("messageflow: ")
    assert part in result.stderr
    assert "Traceback" not in result.output


def test_error_is_red_on_a_terminal(runner: CliRunner) -> None:
    assert runner.invoke(main, ["serve"], color=True).stderr.startswith("\x1b[31mmessageflow: api_key")


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigurationError("x"), 1), (GatewayUnreachable("x"), 1), (KeyboardInterrupt(), 130)]
)
def test_exit_code_says_how_it_ended(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr("messageflow.cli.secret.command", command)
    result = runner.invoke(main, ["secret"])
    assert result.exit_code == code
    assert "Traceback" not in result.output


def test_starting_a_publisher_command_does_not_load_the_gateway() -> None:
    script = (
        "import sys, messageflow.cli.main, messageflow.cli.push, messageflow.cli.publish, messageflow.cli.token\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
