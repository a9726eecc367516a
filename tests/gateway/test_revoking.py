"""A revoked token is good nowhere: at no worker, no node, none that starts later, and over no restart."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from messageflow import AsyncFlow, Flow
from tests.brokers.redis.servers import Server
from tests.faults.proxy import DOWN, UP, Faults
from tests.gateway.nodes import Site
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

SECONDS = 15.0
AWAY = 3.0  # seconds


def flow_for(gateway: Running) -> Flow:
    return Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET)


def token(user: str, made: float | None) -> str:
    claims = {"sub": user, "exp": time.time() + 600} | ({} if made is None else {"iat": made})
    return jwt.encode(claims, TOKEN_SECRET, "HS256")


async def opened(gateway: Running, token: str, user: str) -> Client:
    """Return a client that is in."""
    client = Client(gateway, user)
    client.token = token
    await client.connect()
    return client


async def closing(client: Client) -> int | None:
    """Return the code with which a connection ends."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                await client.link.recv()
    except ConnectionClosed:
        return client.link.close_code


async def answer(gateway: Running, token: str) -> int:
    """Return 0 where a token is let in, else the code of the error."""
    async with connect(gateway.websocket) as link:
        await link.send(json.dumps({"id": 1, "connect": {"token": token}}))
        reply: dict[str, Any] = json.loads(str(await link.recv()).split("\n")[0])
        return int(reply.get("error", {}).get("code", 0))


async def answers(gateway: Running, token: str, connections: int = 8) -> set[int]:
    """The same of so many connections, that no worker may be left out."""
    return {await answer(gateway, token) for _ in range(connections)}


async def test_it_holds_at_every_worker_and_at_one_that_starts_later(tmp_path: Path) -> None:
    with running(("serve", "--workers", "2"), tmp_path) as gateway, flow_for(gateway) as flow:
        old = flow.token("alice")
        other = await opened(gateway, flow.token("bob"), "bob")
        clients: list[Client] = []
        while len(clients) < 12 or not all(node.num_clients for node in flow.info()):
            clients.append(await opened(gateway, old, "alice"))
            assert len(clients) < 200, "one worker takes them all"
        flow.revoke("alice")
        fresh = flow.token("alice")
        assert {await closing(client) for client in clients} == {3005}
        assert await answers(gateway, old) == {109}
        assert await answers(gateway, fresh) == {0}
        killed(gateway, 1)
        killed(gateway, 2)
        assert await answers(gateway, old) == {109}
        assert await answers(gateway, fresh) == {0}
        await other.link.close()


async def test_of_one_token_or_of_channels_it_holds_at_every_worker_and_over_a_restart(tmp_path: Path) -> None:
    config = tmp_path / "channels.toml"
    config.write_text('[[channel.namespaces]]\nname = "org"\n')
    command = ("serve", "--workers", "2", "--config", str(config))
    with running(command, tmp_path) as gateway, flow_for(gateway) as flow:
        lost, kept = flow.token("alice", allow=["org:*"]), flow.token("alice", allow=["org:*"])
        clients: list[Client] = []
        while len(clients) < 12 or not all(node.num_clients for node in flow.info()):
            clients.append(await opened(gateway, lost, "alice"))
            assert len(clients) < 200, "one worker takes them all"
        assert await rights(gateway, kept) == {0}
        flow.revoke("alice", token=lost)
        assert {await closing(client) for client in clients} == {3005}
        assert (await answers(gateway, lost), await answers(gateway, kept)) == ({109}, {0})
        flow.revoke("alice", channels="org:*")
        await until(lambda: rights(gateway, kept), {103})
        newer = flow.token("alice", allow=["org:*"])
        assert await rights(gateway, newer) == {0}
    with running(command, tmp_path) as gateway:
        assert (await answers(gateway, lost), await answers(gateway, kept)) == ({109}, {0})
        assert (await rights(gateway, kept), await rights(gateway, newer)) == ({103}, {0})


async def until(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Return once the answer is what is expected, within ten seconds."""
    for _ in range(200):
        if await ask() == expected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not happen")


async def rights(gateway: Running, token: str) -> set[int]:
    """Return what connections with a token are answered that subscribe: 0, or the code of the error."""
    found = set()
    for _ in range(8):
        async with connect(gateway.websocket) as link:
            await link.send(json.dumps({"id": 1, "connect": {"token": token}}))
            await link.send(json.dumps({"id": 2, "subscribe": {"channel": "org:7"}}))
            lines: list[dict[str, Any]] = []
            while not any(line.get("id") == 2 for line in lines):
                lines += map(json.loads, str(await link.recv()).split("\n"))
            (reply,) = [line for line in lines if line.get("id") == 2]
            found.add(int(reply.get("error", {}).get("code", 0)))
    return found


def killed(gateway: Running, number: int) -> None:
    """Kill a worker and return once another is in its place."""
    before = pids(gateway, number)
    os.kill(before[-1], signal.SIGKILL)
    wait_until(lambda: len(pids(gateway, number)) > len(before))


def pids(gateway: Running, number: int) -> list[int]:
    return [int(str(each["pid"])) for each in gateway.events("worker_ready") if each["number"] == number]


async def test_it_holds_at_every_node_and_at_one_that_starts_later(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    redis = Server(tmp_path / "redis")
    flags = ("serve", "--broker", redis.url)
    with ExitStack() as stack:
        stack.callback(redis.stop)
        one, two = (stack.enter_context(running(flags, tmp_path / name)) for name in ("one", "two"))
        flow = stack.enter_context(flow_for(one))
        straight = stack.enter_context(Flow(redis.url, token_secret=TOKEN_SECRET))
        for revoking in (flow, straight):
            old = flow.token("alice")
            clients = [await opened(gateway, old, "alice") for gateway in (one, two)]
            await asyncio.to_thread(revoking.revoke, "alice")
            fresh = flow.token("alice")
            assert [await closing(client) for client in clients] == [3005, 3005]
            for gateway in (one, two):
                assert (await answer(gateway, old), await answer(gateway, fresh)) == (109, 0)
        later = stack.enter_context(running(flags, tmp_path / "later"))
        assert (await answer(later, old), await answer(later, fresh)) == (109, 0)
        with redis.client() as client:
            client.flushall()
        flow.revoke("bob")
        for gateway in (one, two, later):
            assert (await answer(gateway, old), await answer(gateway, fresh)) == (109, 0)  # they remember
            await refused(gateway, token("bob", None))


async def refused(gateway: Running, token: str) -> None:
    """Return once a token is refused."""
    for _ in range(100):
        if await answer(gateway, token) == 109:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it is let in")


@pytest.mark.slow
async def test_a_node_that_was_cut_off_learns_what_was_revoked_meanwhile(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with ExitStack() as stack:
        stack.callback(site.stop)
        cut_off, other, _ = site.gateways
        flow = stack.enter_context(flow_for(other))
        old = flow.token("alice")
        client = await opened(cut_off, old, "alice")
        site.links.set(0, Faults(discards=frozenset({UP, DOWN})))
        flow.revoke("alice")
        flow.revoke("bob")
        assert await answer(other, old) == 109
        await asyncio.sleep(AWAY)
        assert client.link.close_code is None
        site.links.heal()
        assert await closing(client) == 3005
        assert await answer(cut_off, old) == 109
        assert await answer(cut_off, token("bob", None)) == 109


async def test_an_asynchronous_flow_revokes_too(tmp_path: Path) -> None:
    with running(("serve", "--broker", "memory"), tmp_path) as gateway:
        async with AsyncFlow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
            client = await opened(gateway, await flow.token(7), "7")
            await flow.revoke(7)
            assert await closing(client) == 3005
            assert await answer(gateway, client.token) == 109


@pytest.mark.parametrize("ends", [Running.kill, Running.terminate], ids=["killed", "ended"])
async def test_it_outlives_the_gateway(tmp_path: Path, ends: Callable[[Running], object]) -> None:
    with running(("serve",), tmp_path) as gateway, flow_for(gateway) as flow:
        old = flow.token("alice")
        flow.revoke("alice")
        fresh = flow.token("alice")
        ends(gateway)
    with running(("serve",), tmp_path) as gateway:
        assert (await answer(gateway, old), await answer(gateway, fresh)) == (109, 0)


async def test_dates_are_compared_to_the_fraction_of_a_second(tmp_path: Path) -> None:
    with running(("serve", "--broker", "memory"), tmp_path) as gateway, flow_for(gateway) as flow:
        at = time.time()
        flow.revoke("alice", before=at)
        assert await answer(gateway, token("alice", at)) == 0
        assert await answer(gateway, token("alice", at - 0.001)) == 109
        assert await answer(gateway, token("alice", int(at))) == 109
        assert await answer(gateway, token("alice", int(at) + 1)) == 0
        assert await answer(gateway, token("alice", None)) == 109
