"""`flow.later` against a gateway that is killed again and again: what it took is stored once and in order."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from messageflow import Flow
from tests.ports import free_port
from tests.support import API_KEY, running
from tests.waiting import wait_until

KILLS = 4
CALLS = 3000


def test_over_kills_of_the_gateway_each_call_is_stored_once_and_in_order(tmp_path: Path) -> None:
    port = free_port()
    flow = Flow(f"http://127.0.0.1:{port}", api_key=API_KEY)
    ended = threading.Event()

    def work() -> None:
        for number in range(CALLS):
            flow.later.push("alice", "t", number)
            if not number % 10:
                time.sleep(0.001)
        ended.set()

    producer = threading.Thread(target=work)
    producer.start()
    for _ in range(KILLS):
        with running(("serve",), tmp_path, port=port) as gateway:
            before = flow.later.stats.sent
            wait_until(lambda before=before: flow.later.stats.sent > before or ended.is_set())  # type: ignore[misc]
            gateway.kill()
        flow.later.push("alice", "t", "between")
    producer.join(30)
    with running(("serve",), tmp_path, port=port):
        assert flow.later.flush(60)
        heard = [each.data["payload"] for each in flow.history("#alice", limit=10_000).publications]
    assert [number for number in heard if number != "between"] == list(range(CALLS))
    assert heard.count("between") == KILLS
    stats = flow.later.stats
    assert (stats.sent, stats.refused, stats.dropped_full, stats.dropped_old) == (CALLS + KILLS, 0, 0, 0)
