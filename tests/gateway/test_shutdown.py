"""A gateway that is told to end, as its clients see it: real processes and real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support import API_KEY, START_SECONDS, TOKEN_SECRET, Running, running

CLIENTS = 60
MANY = 300  # whose drain takes three seconds: what is done in the middle of it is done in time on a busy machine too
SELDOM = ("--ping-interval", "10m")  # those who came first answer no pings while the others come

pytestmark = pytest.mark.slow


class Client:
    """A client that reads to the end.

    Attributes:
        seen: what was published to everyone, as it came.
        position: where it stands in the channel of everyone.
        code: of the close frame; 1006 when there was none.
        ended: when, on the monotonic clock.
    """

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self.seen: list[Any] = []
        self.position: dict[str, Any] = {}
        self.recovered = False
        self.code = 0
        self.ended = 0.0

    async def enter(self, number: int, position: dict[str, Any] | None = None) -> None:
        """Connect, from a position when there is one."""
        token = jwt.encode({"sub": f"user{number}", "exp": time.time() + 600}, TOKEN_SECRET, "HS256")
        subs = {"subs": {"*": {"recover": True, **position}}} if position else {}
        await self._websocket.send(json.dumps({"id": 1, "connect": {"token": token, **subs}}))
        answer = json.loads(await self._websocket.recv())["connect"]["subs"]["*"]
        self.position = {name: answer[name] for name in ("epoch", "offset", "tag") if name in answer}
        self.recovered = answer.get("recovered", False)
        self.seen += [publication["data"]["payload"] for publication in answer.get("publications", ())]

    async def read(self) -> None:
        """Read until the end."""
        try:
            async for message in self._websocket:
                for line in str(message).splitlines():
                    self._take(json.loads(line).get("push", {}))
        except ConnectionClosed:
            pass
        self.ended = time.monotonic()
        self.code = self._websocket.close_code or 1006

    def _take(self, push: dict[str, Any]) -> None:
        if push.get("channel") == "*" and "pub" in push:
            publication = push["pub"]
            self.seen.append(publication["data"]["payload"])
            self.position |= {"offset": publication["offset"], "tag": publication["tag"]}


async def clients(stack: AsyncExitStack, gateway: Running, count: int = CLIENTS) -> list[Client]:
    entered = []
    for number in range(count):
        client = Client(await stack.enter_async_context(connect(gateway.websocket, compression=None, max_size=None)))
        await client.enter(number)
        entered.append(client)
    return entered


def broadcast(gateway: Running, payload: Any) -> None:
    answer = urllib3.request(
        "POST",
        f"{gateway.url}/api/broadcast_push",
        json={"type": "t", "payload": payload},
        headers={"X-API-Key": API_KEY},
    )
    assert "error" not in answer.json(), answer.json()


async def until(gateway: Running, condition: Callable[[], object]) -> None:
    """Wait for something the gateway does; when it does not, show what it has logged instead."""
    for _ in range(100 * START_SECONDS):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("".join(gateway.lines))


async def test_clients_leave_in_batches_with_all_that_was_pushed(tmp_path: Path) -> None:
    with running(["serve"], tmp_path) as gateway:
        async with AsyncExitStack() as stack:
            here = await clients(stack, gateway)
            reading = [asyncio.create_task(client.read()) for client in here]
            for number in range(5):
                await asyncio.to_thread(broadcast, gateway, number)
            assert await asyncio.to_thread(gateway.terminate) == 0
            await asyncio.gather(*reading)
    assert [client.code for client in here] == [3001] * CLIENTS
    assert [client.seen for client in here] == [[0, 1, 2, 3, 4]] * CLIENTS
    ended = [client.ended for client in here]
    assert max(ended) - min(ended) > 0.3  # ten in a tenth of a second
    assert gateway.events("drained")[0]["left"] == 0


async def test_nobody_is_let_in_any_more_and_the_worker_is_not_ready(tmp_path: Path) -> None:
    with (
        running(["serve", *SELDOM], tmp_path) as gateway,
        urllib3.HTTPConnectionPool("127.0.0.1", gateway.port) as pool,
    ):
        assert pool.request("GET", "/ready").status == 200
        async with AsyncExitStack() as stack:
            here = await clients(stack, gateway, MANY)
            gateway.process.send_signal(signal.SIGTERM)
            await until(gateway, lambda: gateway.events("draining"))
            assert await asyncio.to_thread(lambda: pool.request("GET", "/ready").status) == 503
            with pytest.raises((OSError, InvalidHandshake)):
                await connect(gateway.websocket)
            await asyncio.gather(*[client.read() for client in here])


async def test_what_was_written_before_the_end_arrives_before_it(tmp_path: Path) -> None:
    with running(["serve", "--payload-size-limit", "4MiB", "--buffer-high-water", "64MiB"], tmp_path) as gateway:
        async with connect(gateway.websocket, compression=None, max_size=None, max_queue=1) as websocket:
            client = Client(websocket)
            await client.enter(1)
            payloads = [str(number) * 2_000_000 for number in range(8)]  # more than sockets hold
            for payload in payloads:
                await asyncio.to_thread(broadcast, gateway, payload)
            gateway.process.send_signal(signal.SIGTERM)
            await until(gateway, lambda: gateway.events("drained"))
            await client.read()
    assert client.seen == payloads
    assert client.code == 3001


async def test_cut_short_it_is_merely_a_crash(tmp_path: Path) -> None:
    with running(["serve"], tmp_path) as gateway:
        async with AsyncExitStack() as stack:
            here = await clients(stack, gateway)
            reading = [asyncio.create_task(client.read()) for client in here]
            await asyncio.to_thread(broadcast, gateway, 1)
            gateway.process.send_signal(signal.SIGTERM)
            await until(gateway, lambda: any(client.code for client in here))
            await asyncio.to_thread(gateway.kill)
            await asyncio.gather(*reading)
    assert {client.code for client in here} <= {3001, 1006}
    assert any(client.code == 3001 for client in here)
    with running(["serve"], tmp_path) as gateway:
        await asyncio.to_thread(broadcast, gateway, 2)
        for number, client in enumerate(here):
            async with connect(gateway.websocket, compression=None) as websocket:
                again = Client(websocket)
                await again.enter(number, client.position)
            assert again.recovered
            assert client.seen + again.seen == [1, 2]


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running(["serve", *SELDOM], tmp_path) as gateway:
        async with AsyncExitStack() as stack:
            here = await clients(stack, gateway, MANY)
            gateway.process.send_signal(signal.SIGTERM)
            await until(gateway, lambda: gateway.events("draining"))
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*[client.read() for client in here])
            assert await asyncio.to_thread(gateway.process.wait, START_SECONDS) == 0
    left = gateway.events("drained")[0]["left"]
    assert isinstance(left, int)
    assert left > 0
    assert {client.code for client in here} <= {3001, 1006}


STUCK = """
import threading
from flask import Flask

app = Flask(__name__)

@app.route("/")
def forever():
    print("stuck", flush=True)
    threading.Event().wait()
"""


async def test_within_the_grace_it_is_gone_whatever_the_application_does(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "stuck.py").write_text(STUCK)
    with running(["run", "stuck:app", "--shutdown-grace", "1s"], tmp_path, cwd=project) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await writer.drain()
        await asyncio.to_thread(lambda: urllib3.request("GET", f"{gateway.url}/health"))  # after the first was taken
        assert await asyncio.to_thread(gateway.terminate) == 1
        writer.close()
    assert gateway.events("grace_over")
