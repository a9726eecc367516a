"""A data directory that is gone while the gateway runs: not ready, and no receipt."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from messageflow import Flow
from messageflow.errors import PublishError
from tests.support import API_KEY, TOKEN_SECRET, Running, running

SECONDS = 15.0


def ready(gateway: Running) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{gateway.url}/ready", timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_data_directory_that_is_gone_is_told_and_never_acknowledged(tmp_path: Path, workers: str) -> None:
    directory = tmp_path / "data"
    with running(("serve", "--workers", workers), directory) as gateway:
        with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
            assert flow.push("alice", "n", 1).ack == "os"
            shutil.rmtree(directory)
        with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET, timeout=1) as flow:
            for _ in range(2):
                with pytest.raises(PublishError):
                    flow.push("alice", "n", 2)
        deadline = time.monotonic() + SECONDS
        while (found := ready(gateway))[0] == 200:
            assert time.monotonic() < deadline
        assert found[0] == 503
        assert "storage_displaced" in found[1]
        gateway.terminate()
    with running(("serve", "--workers", workers), directory) as gateway:
        with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
            assert flow.push("alice", "n", 3).offset == 1
        assert ready(gateway)[0] == 200
