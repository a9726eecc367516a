"""A few clients of a crowd are pinged behind what was written, and what any client answers to a ping is enough."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from messageflow import Flow
from messageflow.hub.reader_probes import SAMPLE
from messageflow.hub.reader_sample import CROWD
from tests.gateway.test_bad_input import Client, token
from tests.gateway.test_every_setting import metric
from tests.support import API_KEY, START_SECONDS, running
from tests.waiting import wait_until

TEXT, PING, PONG = 1, 9, 0x8A
ASKED, ANSWERED = (f"messageflow_read_probes{end}_total" for end in ("", "_answered"))


def list_pings(client: Client) -> list[bytes]:
    """Read the push, and on to the answer of a command sent now; return the pings in between."""
    client.say({"id": 2, "ping": {}})
    frames: list[tuple[int, bytes]] = []
    while not frames or b'"id":2' not in frames[-1][1]:
        frames.append(client.receive())
    assert [b"news" in data for opcode, data in frames if opcode == TEXT] == [True, False]
    assert b"news" in frames[0][1], "a ping before the push"
    return [data for opcode, data in frames if opcode == PING]


def test_a_client_that_answers_pings_says_how_far_it_has_read(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory"], tmp_path) as gateway, ExitStack() as stack:
        clients = [stack.enter_context(Client(gateway)) for _ in range(CROWD)]
        for number, client in enumerate(clients):
            client.connect(token=token(f"user-{number}"))
        with Flow(gateway.url, api_key=API_KEY) as flow:
            flow.broadcast("news", 1)
        wait_until(lambda: metric(gateway, ASKED) == CROWD // SAMPLE, START_SECONDS)
        asked = {client: pings[0] for client in clients if (pings := list_pings(client))}
        assert len(asked) == CROWD // SAMPLE
        for client in asked:
            client.frame(b"of its own", head=PONG)
        first, *others = asked.items()
        first[0].frame(first[1], head=PONG)
        wait_until(lambda: metric(gateway, ANSWERED) == 1, START_SECONDS)
        for client, data in others:
            client.frame(data, head=PONG)
        wait_until(lambda: metric(gateway, ANSWERED) == len(asked), START_SECONDS)
