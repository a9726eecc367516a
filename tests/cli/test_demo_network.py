"""The network of the demo: WebSockets of one browser are reset, others and other requests never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from messageflow.cli.demo_network import DemoNetwork

ALICE, BOB = "flask_jobs=alice", "flask_jobs=bob"
LONG = 60.0  # seconds


class Cut:
    """A network that can be cut, and a server behind it which repeats what it hears."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.create_server = self.loop.create_server
        self.network = DemoNetwork(self.loop)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._repeat, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _repeat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()

    async def request(self, browser: str, upgrade: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, and say a head."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        asked = "Connection: Upgrade\r\nUpgrade: websocket\r\n" if upgrade else ""
        writer.write(f"GET / HTTP/1.1\r\nCookie: other=1; {browser}\r\n{asked}\r\n".encode())
        return reader, writer

    async def answers(self, browser: str, upgrade: bool = True) -> bool:
        """Whether a request that is made now is heard."""
        reader, writer = await self.request(browser, upgrade)
        try:
            return bool(await reader.read(1))
        except ConnectionResetError:
            return False
        finally:
            writer.close()

    async def cut(self, browser: str, seconds: float = LONG) -> None:
        await asyncio.to_thread(self.network.cut, browser, seconds)

    async def mend(self, browser: str) -> None:
        await asyncio.to_thread(self.network.mend, browser)


@pytest.fixture
async def here() -> AsyncIterator[Cut]:
    cut = Cut()
    await cut.start()
    yield cut
    cut.server.close()
    cut.loop.create_server = cut.create_server  # type: ignore[method-assign]


async def test_what_is_open_is_reset_without_a_goodbye(here: Cut) -> None:
    reader, writer = await here.request(ALICE)
    assert await reader.read(1)
    await here.cut(ALICE)
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()


async def test_what_comes_meanwhile_is_reset_too_until_it_is_mended(here: Cut) -> None:
    await here.cut(ALICE)
    assert not await here.answers(ALICE)
    await here.mend(ALICE)
    assert await here.answers(ALICE)


async def test_a_cut_ends_by_itself(here: Cut) -> None:
    await here.cut(ALICE, seconds=0)
    assert await here.answers(ALICE)


async def test_another_browser_and_other_requests_go_on(here: Cut) -> None:
    reader, writer = await here.request(BOB)
    assert await reader.read(1)
    await here.cut(ALICE)
    assert await here.answers(BOB)
    assert await here.answers(ALICE, upgrade=False)
    writer.write(b"still here")
    assert (await reader.readuntil(b"still here")).endswith(b"still here")
    writer.close()


async def test_who_says_nothing_is_not_waited_for(here: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messageflow.cli.demo_network.FIRST_BYTES_WITHIN", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    assert await reader.read(1) == b""
    writer.close()
