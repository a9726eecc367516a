"""The official JavaScript client, centrifuge on npm, connects and works unchanged. The checks are js/checks.mjs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import jwt
import pytest

from tests.support import API_KEY, TOKEN_SECRET, Running

JS = Path(__file__).parent / "js"


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    if not (JS / "node_modules" / "centrifuge").is_dir():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=JS, check=True, timeout=300)


def token(seconds: int, user: str = "alice", **claims: float) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds, **claims}, TOKEN_SECRET, "HS256")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("transport", "form"),
    [
        ("websocket", "json"),
        ("http_stream", "json"),
        ("sse", "json"),
        ("websocket", "protobuf"),
        ("http_stream", "protobuf"),
    ],
)
def test_every_check_of_the_javascript_client_passes(gateway: Running, transport: str, form: str) -> None:
    now = time.time()
    tokens = {
        "alice": token(600),
        "expired": token(-5),
        "secret": TOKEN_SECRET,
        "before": now,
        "revoked": token(600, "rita", iat=now - 0.5),
        "since": token(600, "rita", iat=now),
    }
    ran = subprocess.run(
        ["node", "checks.mjs", gateway.websocket, gateway.url, API_KEY, transport, form],
        cwd=JS,
        env={**os.environ, "TOKENS": json.dumps(tokens)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {"passed": 11}
