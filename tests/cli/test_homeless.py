"""A user whom nobody knows, as containers have them: no HOME, no entry among the users."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from messageflow import Flow
from messageflow.errors import ConfigurationError
from messageflow.gateway.settings_loading import load_settings
from messageflow.publisher.discovery import find, find_data_dir, write_dev_file
from tests.support import API_KEY, TOKEN_SECRET, running
from tests.waiting import patience

NOBODY = """
import pwd

def unknown(who):
    raise KeyError(f"uid not found: {who}")

pwd.getpwuid = pwd.getpwnam = unknown
"""
HOMES = ("HOME", "XDG_DATA_HOME", "MESSAGEFLOW_DATA_DIR")
KEYS = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started, and this process, belong to nobody."""
    (tmp_path / "sitecustomize.py").write_text(NOBODY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def unknown(who: object) -> None:
        raise KeyError(who)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)
    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError):
        Path.home()


def messageflow(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "messageflow.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(30),
        env={k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")} | environment,
    )


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["one worker", "two workers"])
def test_a_gateway_that_needs_no_files_runs(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with running(("serve", "--broker", "memory", *flags), None) as started:
        with Flow(started.url, api_key=API_KEY) as flow:
            assert flow.push("alice", "n", 1).offset == 1
        assert started.terminate() == 0
    assert "Traceback" not in "".join(started.lines)


@pytest.mark.usefixtures("homeless")
def test_an_application_is_served_without_files_and_pushes_from_within(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(
        "from messageflow import Flow\nflow = Flow()\n\ndef app(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [b'%d' % flow.push('alice', 'n', 1).offset]\n"
    )
    with (
        running(("run", "page:app", "--broker", "memory"), None, cwd=tmp_path, keys=False) as started,
        urllib.request.urlopen(started.url, timeout=patience(10)) as answer,
    ):
        assert answer.read() == b"1"


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serve", "--port", "0"), "has no home.* --data-dir .* names one, --broker memory needs none"),
        (("serve", "--port", "0", "--workers", "2"), "has no home.* --data-dir .* names one"),
        (("serve", "--port", "0", "--data-dir", "~/x"), "it must be a path, after `~` only what is somebody's home"),
        (("serve", "--port", "0", "--tls-cert", "~ada/x"), "it must be a path, after `~`"),
    ],
)
def test_what_needs_a_directory_says_so(arguments: tuple[str, ...], sentence: str) -> None:
    done = messageflow(*arguments, **KEYS)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert re.search(sentence, done.stderr), done.stderr


@pytest.mark.usefixtures("homeless")
def test_keys_made_for_others_need_a_place() -> None:
    done = messageflow("serve", "--dev", "--port", "0", "--broker", "memory")
    assert done.returncode == 1
    assert "no home: set MESSAGEFLOW_DATA_DIR to a directory of your own" in done.stderr


@pytest.mark.usefixtures("homeless")
def test_commands_of_publishers_run() -> None:
    made = messageflow("token", "alice", **KEYS)
    assert made.returncode == 0, made.stderr
    pushed = messageflow("push", "alice", "n", "1", MESSAGEFLOW_URL="http://127.0.0.1:9", **KEYS)
    assert "no gateway answers at http://127.0.0.1:9" in pushed.stderr
    assert "there is no secret" in messageflow("token", "alice").stderr


@pytest.mark.usefixtures("homeless")
def test_nobody_has_no_development_gateway() -> None:
    assert find_data_dir({}) is None
    assert find_data_dir({"MESSAGEFLOW_DATA_DIR": "~/x"}) is None
    assert find_data_dir({"HOME": "/somewhere"}) == Path("/somewhere/.local/share/messageflow")
    assert find(None, None, None, {}).api_key == ""
    assert load_settings({}, {}).data_dir is None
    with pytest.raises(ConfigurationError, match="set MESSAGEFLOW_DATA_DIR"):
        write_dev_file("http://dev", "key", "secret")


GONE = """
import os, shutil, sys
from messageflow.cli.main import main

os.chdir(sys.argv[1])
shutil.rmtree(sys.argv[1])
main(["run", "page:app"])
"""


def test_an_application_whose_directory_is_gone_is_told(tmp_path: Path) -> None:
    (gone := tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", GONE, str(gone)], capture_output=True, text=True, check=False, timeout=patience(30)
    )
    assert "the current directory cannot be used" in done.stderr, done.stderr
