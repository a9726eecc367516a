"""The publisher beside packages with demands of their own, which stay as they are; the gateway elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from messageflow import Flow
from tests.installing import beside
from tests.support import API_KEY, TOKEN_SECRET, running

APPLICATION = """
import agents, supabase
from fastapi import FastAPI
from fastapi.testclient import TestClient
from messageflow import AsyncFlow, Flow

app = FastAPI()

@app.post("/reports/{user}")
def report(user: str):
    with Flow() as flow:
        return {"offset": flow.push(user, "report/ready").offset, "token": flow.token(user)}

@app.post("/later/{user}")
async def later(user: str):
    async with AsyncFlow() as flow:
        return {"offset": (await flow.push(user, "report/later")).offset}

with TestClient(app) as client:
    print(client.post("/reports/alice").json()["offset"], client.post("/later/alice").json()["offset"])
"""


@pytest.mark.slow
@pytest.mark.timeout(600)  # the packages are fetched once
def test_the_publisher_changes_nothing_beside_it_and_both_sides_run(tmp_path: Path) -> None:
    beside.make()
    before = beside.versions()
    beside.install(tmp_path / "wheel")
    after = beside.versions()
    assert after == {**before, "msgspec": after["msgspec"], "httptools": after["httptools"]}
    assert before["fastapi"].startswith("0.115.")
    assert beside.pip("check").strip() == "No broken requirements found."
    with running(("serve",), tmp_path) as gateway:
        keys = {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
        ran = subprocess.run(
            [beside.PYTHON, "-c", APPLICATION],
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | keys | {"MESSAGEFLOW_URL": gateway.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (ran.returncode, ran.stdout) == (0, "1 2\n"), ran.stderr
        with Flow(gateway.url, api_key=API_KEY) as flow:
            assert flow.push("alice", "report/seen").offset == 3
