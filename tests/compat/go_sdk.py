"""Run the checks of the official Go client, in JSON and in Protobuf: `python -m tests.compat.go_sdk`.

A command of its own, since it needs Go and fetches modules; the checks are go/checks.go.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jwt

from tests.compat.conftest import CONFIG
from tests.support import API_KEY, TOKEN_SECRET, running

GO = Path(__file__).parent / "go"


def main() -> int:
    """Return 0 where all checks pass."""
    go = shutil.which("go")
    if go is None:
        sys.exit("Go is not here: install it, 1.25 or newer.")
    now = int(time.time())
    tokens = {
        name: jwt.encode({"sub": "alice", "exp": now + seconds}, TOKEN_SECRET, "HS256")
        for name, seconds in (("alice", 600), ("expired", -5))
    }
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        subprocess.run([go, "build", "-o", directory / "checks", "."], cwd=GO, check=True)
        (directory / "messageflow.toml").write_text(CONFIG)
        with running(["serve", "--config", str(directory / "messageflow.toml")], directory / "data") as gateway:
            failed = [
                subprocess.run(
                    [directory / "checks", gateway.websocket, gateway.url, API_KEY, form],
                    env={**os.environ, "TOKENS": json.dumps(tokens)},
                    timeout=120,
                ).returncode
                for form in ("json", "protobuf")
            ]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
