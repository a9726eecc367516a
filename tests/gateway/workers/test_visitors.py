"""Whoever comes is let in, whatever those before did: most visitors of a page leave when they like."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator

import pytest

from messageflow import Flow
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.visitors import let_in, pass_by


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("--workers", "2"), id="two workers"),
        pytest.param(("--workers", "2", "--broker", "memory"), id="two workers in memory"),
        pytest.param((), id="embedded"),
    ],
)
def gateway(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(("serve", *request.param), tmp_path_factory.mktemp("gateway")) as started:
        yield started


def assert_ready(gateway: Running) -> None:
    with urllib.request.urlopen(f"{gateway.url}/ready", timeout=10) as answer:
        assert answer.status == 200


async def test_who_reloads_is_let_in(gateway: Running) -> None:
    for _ in range(5):
        await pass_by(gateway, "alice")
        await asyncio.sleep(0.3)  # the next time they press the button
    for _ in range(8):  # at either worker
        assert "#alice" in (await let_in(gateway, "alice"))["subs"]
    assert_ready(gateway)


async def test_a_crowd_that_leaves_at_once_keeps_nobody_out(gateway: Running) -> None:
    await asyncio.gather(*(pass_by(gateway, f"visitor-{n}", stay=0.003 * n / 150) for n in range(150)))
    await asyncio.gather(*(let_in(gateway, f"visitor-{n}") for n in range(0, 150, 10)))
    await asyncio.gather(*(let_in(gateway, f"guest-{n}") for n in range(15)))
    assert_ready(gateway)


async def test_what_is_pushed_after_the_crowd_has_left_arrives(gateway: Running) -> None:
    """Many channels at a time, the same ones again and again, some of those who hold them stay."""
    rooms = tuple(f"room-{number}" for number in range(40))
    staying = [Client(gateway, f"user-{number}") for number in range(6)]
    for turn in range(6):
        await asyncio.gather(
            *(pass_by(gateway, f"user-{n % 6}", stay=0.001 * (n % 5), channels=rooms[turn:]) for n in range(25)),
            staying[turn].connect(),
        )
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        for client in staying:
            flow.push(client.channel[1:], "n", 1)
    for client in staying:
        await client.listen(1)
        await client.link.close()
    await asyncio.gather(*(let_in(gateway, f"late-{n}", channels=rooms) for n in range(6)))
