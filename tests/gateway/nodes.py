"""Three gateways that share a Redis, each over a link of its own that can be harmed.

Owns all of them, through all their lives. The links run in a thread, so that a test may wait for a gateway without
standing in its way.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed

from messageflow import Flow
from tests.brokers.redis.servers import Server, wait_until
from tests.faults.proxy import Faults, Proxy
from tests.ports import free_port
from tests.resuming import Client
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import patience

DEADLINE = 1.0  # seconds in which Redis has to answer
SECONDS = 15.0  # for all else to come about
PING = "{}"


class Links:
    """Links to one port, in a thread of their own."""

    def __init__(self, count: int, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxies = [Proxy(port) for _ in range(count)]
        for proxy in self._proxies:
            asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result(SECONDS)
        self.ports = [proxy.port for proxy in self._proxies]

    def set(self, index: int, faults: Faults) -> None:
        """Do this to one link from now on."""
        self._do(lambda: self._proxies[index].set(faults))

    def heal(self) -> None:
        """End all faults."""
        for proxy in self._proxies:
            self._do(proxy.heal)

    def cut(self, index: int) -> None:
        """Reset what one link carries."""
        self._do(self._proxies[index].cut)

    def _do(self, what: Callable[[], object]) -> None:
        async def done() -> None:
            what()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(SECONDS)

    def stop(self) -> None:
        for proxy in self._proxies:
            asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result(SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


class Site:
    """Redis and its gateways.

    Args:
        directory: for the files of all; there already.

    Attributes:
        gateways: as they run at the moment.
    """

    COUNT = 3

    def __init__(self, directory: Path) -> None:
        (directory / "redis").mkdir()
        self._directory = directory
        self._lives = ExitStack()
        self.redis = Server(directory / "redis", "--appendonly", "yes", "--appendfsync", "always")
        self._lives.callback(self.redis.stop)
        self.links = Links(self.COUNT, self.redis.port)
        self._lives.callback(self.links.stop)
        self.gateways = [self._started(index) for index in range(self.COUNT)]

    def _started(self, index: int, port: int = 0) -> Running:
        url = f"redis://127.0.0.1:{self.links.ports[index]}"
        flags = ("serve", "--broker", url, "--broker-deadline", str(DEADLINE))
        return self._lives.enter_context(running(flags, self._directory / str(index), port=port or free_port()))

    def revive(self) -> None:
        """Undo whatever was done, and return once all gateways take work."""
        if self.redis.process.poll() is not None:
            self.redis.start()
        self.redis.signal(signal.SIGCONT)
        self.links.heal()
        for index, gateway in enumerate(self.gateways):
            if gateway.process.poll() is not None:
                self.gateways[index] = self._started(index, gateway.port)
        wait_until(lambda: not any(map(trouble, self.gateways)), SECONDS)

    def stop(self) -> None:
        self.links.heal()
        self._lives.close()


def trouble(gateway: Running) -> str:
    """Return why a gateway is not ready; empty if it is."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=patience(SECONDS))
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        text = answer.read().decode().strip()
        return "" if answer.status == 200 else text
    finally:
        connection.close()


def call(gateway: Running, method: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Call the server API once, without trying again; return status and answer."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=patience(SECONDS))
    try:
        connection.request("POST", f"/api/{method}", json.dumps(body), {"X-API-Key": API_KEY})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def flow_for(gateway: Running, timeout: float = 10.0) -> Flow:
    return Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET, timeout=timeout)


class Page(Client):
    """A client that reads all the time, as a page does."""

    async def open(self) -> dict[str, Any]:
        """Connect and read from now on; return what is said of the personal channel."""
        found = await self.connect()
        self.pushes: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())
        return found

    async def _read(self) -> None:
        try:
            async for message in self.link:
                for line in str(message).split("\n"):
                    if line == PING:
                        await self.link.send(PING)
                    self._heard(json.loads(line).get("push", {}))
        except ConnectionClosed:
            pass  # its code tells

    def _heard(self, push: dict[str, Any]) -> None:
        self.pushes.append(push)
        if push.get("channel") == self.channel and "pub" in push:
            self._take(push["pub"])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition of what was read holds."""
        began = time.monotonic()
        while not condition():
            assert not self._reading.done() or condition(), f"closed with {self.link.close_code}"
            assert time.monotonic() - began < patience(SECONDS), (
                f"{self.seen[-5:]} of {len(self.seen)}, {self.pushes[-3:]}"
            )
            await asyncio.sleep(0.01)

    async def sees(self, *payloads: object) -> None:
        """Return once exactly these were seen in the personal channel."""
        await self.until(lambda: len(self.seen) >= len(payloads))
        assert self.seen == list(payloads)

    async def is_closed(self) -> int | None:
        """Return the code with which the gateway closed it."""
        await asyncio.wait_for(asyncio.shield(self._reading), patience(SECONDS))
        return self.link.close_code

    async def close(self) -> None:
        await self.link.close()
        await asyncio.wait([self._reading])
