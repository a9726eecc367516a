"""Run the own live suites of the official Python and Go SDKs against a gateway: `python -m tests.compat.sdk_suites`.

A command of its own, since it fetches their sources, needs Go and port 8000, which those suites connect to, and takes
a minute. Each gateway is configured as the suite's own docker-compose.yml configures its server. What npm gives out of
the JavaScript SDK has no tests; js/checks.mjs tries that one.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tests.compat.go_sdk import GO
from tests.support import TOKEN_SECRET, running

PORT = 8000
SECONDS = 300
SHARED = """
[channel.without_namespace]
history_size = 100
history_ttl = "300s"
allowed_delta_types = ["fossil"]
delta_publish = true
"""
SMALL = """
[[channel.namespaces]]
name = "smallhistory"
history_size = 2
history_ttl = "300s"
"""
SUBSCRIBERS = """allow_subscribe_for_client = true
allow_publish_for_subscriber = true
allow_history_for_subscriber = true
"""
FOR_GO = f"""
client_insecure = true
commands_per_second = 1_000_000  # it publishes a thousand times in a loop
{SHARED}{SMALL}"""
FOR_PYTHON = f"""
allow_token_without_expiry = true
{SHARED}{SUBSCRIBERS}
presence = true
join_leave = true
force_push_join_leave = true
allow_presence_for_subscriber = true
{SMALL}{SUBSCRIBERS}"""
THEIR_SECRET = 'hmac_secret = "secret"'  # too short for a key of ours
EXCEPT = (
    "tests/test_client.py::TestServerSideSubscriptions::test_server_side_subs",  # publishes in `#user`: not in ours
    "tests/test_client.py::test_get_client_token",  # no tests, though they are called so
    "tests/test_client.py::test_get_subscription_token",
)


def run_go(scratch: Path) -> int:
    """Run that of centrifuge-go, at the version of go/go.mod."""
    go = shutil.which("go")
    if go is None:
        sys.exit("Go is not here: install it, 1.25 or newer.")
    suite = scratch / "suite"
    build = [go, "test", "-c", "-mod=mod", "-o", str(suite), "github.com/centrifugal/centrifuge-go"]
    subprocess.run(build, cwd=GO, check=True)
    return subprocess.run([suite, f"-test.timeout={SECONDS}s"], cwd=scratch, timeout=SECONDS + 30).returncode


def run_python(scratch: Path) -> int:
    """Run that of centrifuge-python, at the version that is installed."""
    wanted = f"centrifuge-python=={version('centrifuge-python')}"
    fetch = ["pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(scratch), wanted]
    subprocess.run([sys.executable, "-m", *fetch], check=True)
    [archive] = scratch.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(scratch, filter="data")
    [tests] = scratch.glob("centrifuge_python-*/tests")
    client = tests / "test_client.py"
    text = client.read_text()
    assert THEIR_SECRET in text
    client.write_text(text.replace(THEIR_SECRET, f"hmac_secret = {TOKEN_SECRET!r}"))
    tests.rename(scratch / "tests")  # away from its package, so that the installed one is tried
    command = ["pytest", "-q", "-c", "/dev/null", "--rootdir", ".", "--timeout", "60", "-p", "no:cacheprovider"]
    skipped = [word for each in EXCEPT for word in ("--deselect", each)]
    run = [sys.executable, "-m", *command, *skipped, "tests"]
    return subprocess.run(run, cwd=scratch, timeout=SECONDS).returncode


SUITES: dict[str, tuple[str, Callable[[Path], int]]] = {"go": (FOR_GO, run_go), "python": (FOR_PYTHON, run_python)}


def main() -> int | str:
    """Return 0 where all suites pass, else which did not."""
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", PORT)) == 0:
            sys.exit(f"Something listens on port {PORT}, where the suites look for the server.")
    failed = []
    for name, (configuration, run) in SUITES.items():
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            (directory / "messageflow.toml").write_text(configuration)
            serve = ["serve", "--config", str(directory / "messageflow.toml")]
            with running(serve, directory / "data", port=PORT):
                if run(directory):
                    failed.append(name)
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
