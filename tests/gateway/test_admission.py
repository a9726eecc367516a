"""How many may be coming in at once, and what those beyond are told."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
import urllib3
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support import TOKEN_SECRET, running


def test_who_comes_while_too_many_are_coming_in_is_told_to_try_a_little_later(tmp_path: Path) -> None:
    token = jwt.encode({"sub": "alice", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
    with running(["serve", "--arrivals-limit", "3"], tmp_path) as gateway, ExitStack() as stack:
        coming = [stack.enter_context(connect(gateway.websocket)) for _ in range(3)]
        waits = set()
        for _ in range(20):
            with pytest.raises(InvalidStatus) as refused:
                connect(gateway.websocket)
            assert refused.value.response.status_code == 503
            waits.add(int(refused.value.response.headers["Retry-After"]))
        assert waits <= {1, 2, 3, 4, 5}
        assert len(waits) > 1
        coming[0].send(json.dumps({"id": 1, "connect": {"token": token}}))
        assert "connect" in json.loads(coming[0].recv())
        stack.enter_context(connect(gateway.websocket))  # there is room again
        metrics = urllib3.request("GET", f"{gateway.url}/metrics").data.decode()
    assert "messageflow_refused_busy_total 20.0" in metrics
    assert 1 <= len(gateway.events("refused_busy")) <= 20
