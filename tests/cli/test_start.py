"""From flags to a start: development keys, where they are kept, and when they are made."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from messageflow.cli.start import local_url, prepare
from messageflow.errors import ConfigurationError
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_loading import load_settings
from messageflow.publisher.discovery import find_data_dir, load_dev_file
from tests.support import Running

KEYS: dict[str, object] = {"api_key": "a" * 32, "token_secret": ("t" * 32,)}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "API_KEY", "TOKEN_SECRET", "ALLOWED_ORIGINS", "CONFIG"):
        monkeypatch.delenv(f"MESSAGEFLOW_{name}", raising=False)
    monkeypatch.setenv("MESSAGEFLOW_DATA_DIR", str(tmp_path / "data"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_dev_start_leaves_address_and_keys_for_their_owner_only(tmp_path: Path) -> None:
    start = prepare({"port": "9000"}, None, dev=True)
    file = tmp_path / "data" / "dev.json"
    assert start.made is not None
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    left = {"url": "", "api_key": start.settings.api_key, "token_secret": start.settings.tokens.token_secret[0]}
    assert json.loads(file.read_text()).items() >= left.items()
    start.announce(9000)
    assert json.loads(file.read_text()).items() >= (left | {"url": "http://127.0.0.1:9000"}).items()
    start.withdraw()
    assert json.loads(file.read_text()).items() >= left.items()


def left_url() -> str:
    left = load_dev_file()
    assert left is not None
    return left.url


def test_an_address_that_another_gateway_left_is_neither_overwritten_before_the_start_nor_taken_back() -> None:
    first, second = prepare({}, None, dev=True), prepare({}, None, dev=True)
    first.announce(9000)
    third = prepare({}, None, dev=True)
    assert left_url() == "http://127.0.0.1:9000"
    third.withdraw()
    second.announce(9001)
    first.withdraw()
    assert left_url() == "http://127.0.0.1:9001"


def test_a_port_that_was_taken_by_chance_is_kept_for_the_pages_that_know_it() -> None:
    prepare({}, None, dev=True).announce(8001)
    prepare({"port": "9000"}, None, dev=True).announce(9000)
    again = prepare({}, None, dev=True)
    assert (again.settings.port, again.settings.spare_ports > 0) == (8001, True)
    again.announce(8002)
    again.withdraw()
    assert prepare({}, None, dev=True).settings.port == 8002


def test_a_directory_that_is_gone_at_the_end_is_let_be(tmp_path: Path) -> None:
    start = prepare({}, None, dev=True)
    start.announce(9000)
    shutil.rmtree(tmp_path / "data")
    start.withdraw()


@pytest.mark.parametrize("given", ["flag", "variable", "file"])
def test_another_port_is_tried_only_where_none_was_asked_for(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert prepare({}, None, dev=True).settings.spare_ports > 0
    assert prepare({}, None, dev=True).settings.port == 8000
    assert prepare(KEYS, None, dev=False).settings.spare_ports == 0
    config = tmp_path / "messageflow.toml"
    config.write_text("port = 8000" if given == "file" else "")
    if given == "variable":
        monkeypatch.setenv("MESSAGEFLOW_PORT", "8000")
    settings = prepare({"port": "8000"} if given == "flag" else {}, config, dev=True).settings
    assert (settings.port, settings.spare_ports) == (8000, 0)


def test_dev_keys_outlive_a_restart() -> None:
    first, second = prepare({}, None, dev=True), prepare({}, None, dev=True)
    assert first.settings.api_key == second.settings.api_key
    assert first.settings.tokens.token_secret == second.settings.tokens.token_secret


def test_dev_keys_differ_from_each_other() -> None:
    settings = prepare({}, None, dev=True).settings
    assert settings.api_key not in settings.tokens.token_secret


def test_configured_keys_are_used_by_a_dev_start_and_not_copied_to_disk(tmp_path: Path) -> None:
    start = prepare(KEYS, None, dev=True)
    assert (start.settings.api_key, start.settings.tokens.token_secret) == (KEYS["api_key"], KEYS["token_secret"])
    start.announce(8000)
    left = {"url": "http://127.0.0.1:8000", "api_key": "", "token_secret": ""}
    assert json.loads((tmp_path / "data" / "dev.json").read_text()).items() >= left.items()


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev.json").write_bytes(b"not json")
    with pytest.raises(ConfigurationError, match=r"dev\.json cannot be understood"):
        prepare({}, None, dev=True)


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="set MESSAGEFLOW_DATA_DIR to a directory of your own"):
        prepare({"data_dir": str(tmp_path / "file" / "below")}, None, dev=True)


@pytest.mark.parametrize(
    "environ", [{"HOME": "/home/ada"}, {"XDG_DATA_HOME": "/data"}, {"MESSAGEFLOW_DATA_DIR": "/own", "HOME": "/x"}]
)
def test_gateway_and_publisher_look_for_the_file_in_the_same_directory(environ: dict[str, str]) -> None:
    assert load_settings({}, environ).data_dir == find_data_dir(environ)


def test_start_without_keys_and_without_dev_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="api_key is not set"):
        prepare({}, None, dev=False)


def test_start_with_keys_makes_no_file(tmp_path: Path) -> None:
    assert prepare(KEYS, None, dev=False).made is None
    assert not (tmp_path / "data").exists()


def test_run_without_keys_on_loopback_is_a_dev_start() -> None:
    assert prepare({}, None, dev=False, dev_by_default=True).made is not None


def test_run_with_keys_is_no_dev_start() -> None:
    assert prepare(KEYS, None, dev=False, dev_by_default=True).made is None


def test_run_without_keys_beyond_loopback_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without TLS"):
        prepare({"host": "0.0.0.0"}, None, dev=False, dev_by_default=True)


def test_dev_start_beyond_loopback_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--dev works on loopback only"):
        prepare({"host": "0.0.0.0", "tls_terminated": True}, None, dev=True)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(), "http://127.0.0.1:8000"),
        (Settings(host="localhost"), "http://localhost:8000"),
        (Settings(host="0.0.0.0"), "http://127.0.0.1:8000"),
        (Settings(host="::"), "http://[::1]:8000"),
        (Settings(tls_cert=Path("c.pem")), "https://127.0.0.1:8000"),
    ],
)
def test_address_for_programs_of_this_machine(settings: Settings, url: str) -> None:
    assert local_url(settings, 8000) == url


def test_startup_line_and_file_name_the_port_that_was_bound(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    start = prepare({"port": "0"}, None, dev=True)
    start.announce(41234)
    captured = capsys.readouterr()
    assert captured.err.endswith(" on http://127.0.0.1:41234 (dev keys in ~/data/dev.json)\n")
    assert captured.out == ""
    written = json.loads((tmp_path / "data" / "dev.json").read_text())["url"]
    assert start.url(41234) == written == "http://127.0.0.1:41234"


def test_startup_line_speaks_of_no_file_where_keys_are_configured(capsys: pytest.CaptureFixture[str]) -> None:
    prepare(KEYS, None, dev=False).announce(8000)
    assert capsys.readouterr().err.endswith(" on http://127.0.0.1:8000\n")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates `a.pem` and `b.pem`, their keys, and `locked.key`, which is `a.key` with a password."""
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    for name in ("a", "b"):
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=x")
        openssl("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl("pkey", "-in", "a.key", "-aes256", "-passout", "pass:s3cret", "-out", "locked.key")
    (directory / "garbage.pem").write_text("s3cret")
    return directory


@pytest.mark.parametrize(
    ("certificate", "key", "complaint"),
    [
        ("a.pem", "b.key", r"tls_key: .*b\.key is not the key of the first certificate in .*a\.pem"),
        ("garbage.pem", "a.key", r"tls_cert .*garbage\.pem and tls_key .* cannot be used .*PEM files"),
        ("a.pem", "garbage.pem", r"tls_cert .* and tls_key .*garbage\.pem cannot be used .*PEM files"),
        ("a.pem", "locked.key", r"tls_key: .*locked\.key is encrypted"),
    ],
)
@pytest.mark.parametrize("dev", [False, True])
def test_a_certificate_that_no_server_can_use_is_refused_in_a_sentence(
    certificates: Path, certificate: str, key: str, complaint: str, dev: bool
) -> None:
    flags = {"tls_cert": str(certificates / certificate), "tls_key": str(certificates / key)}
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        prepare({**KEYS, **flags}, None, dev=dev)
    assert "s3cret" not in str(refused.value)


def test_a_certificate_with_its_key_will_do(certificates: Path) -> None:
    flags = {"tls_cert": str(certificates / "a.pem"), "tls_key": str(certificates / "a.key")}
    prepare({**KEYS, **flags}, None, dev=False)


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["one worker", "two workers"])
def test_a_gateway_whose_standard_streams_are_closed_runs_and_ends(tmp_path: Path, flags: tuple[str, ...]) -> None:
    # As by a supervisor that hands on nothing. Sockets get their numbers, and the loop aborts the process over it.
    program = "import os, sys; os.closerange(0, 2)\nfrom messageflow.cli.main import main; main()\n"
    command = [sys.executable, "-c", program, "serve", "--broker", "memory", "--port", "0", *flags]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment |= {"MESSAGEFLOW_API_KEY": "a" * 32, "MESSAGEFLOW_TOKEN_SECRET": "t" * 32}
    environment |= {"MESSAGEFLOW_LOG_FORMAT": "json", "MESSAGEFLOW_DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    started = Running(process)
    try:
        started.wait_until_started()
        assert started.port, "".join(started.lines)
        with urllib.request.urlopen(f"{started.url}/health", timeout=10) as answer:
            assert answer.status == 200
    finally:
        code = started.terminate() if process.poll() is None else process.returncode
        started.release()
    assert code == 0, "".join(started.lines)
