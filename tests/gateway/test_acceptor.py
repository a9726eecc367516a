"""A port that is paused accepts nothing, whatever goes wrong on the way back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from messageflow.gateway import acceptor
from messageflow.gateway.acceptor import Acceptor
from tests.waiting import until


class Servers:
    """Makes servers; as often as `failing` says it cannot."""

    def __init__(self) -> None:
        self.failing = 0
        self.tries = 0
        self.made: list[asyncio.Server] = []
        self.copies: list[socket.socket] = []
        self.held = asyncio.Event()
        self.held.set()

    async def make(self, copy: socket.socket) -> asyncio.AbstractServer:
        self.tries += 1
        self.copies.append(copy)
        await self.held.wait()
        if self.failing and len(self.made) % 2:  # the second of two listeners
            self.failing -= 1
            raise OSError("Too many open files")
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, sock=copy)
        self.made.append(server)
        return server

    @property
    def accepting(self) -> int:
        return sum(each.is_serving() for each in self.made)


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    monkeypatch.setattr(acceptor, "LISTEN_AGAIN", 0.01)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield listening
    for each in listening:
        each.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.get_running_loop().create_task(work)


async def test_a_pause_closes_the_copies_and_a_resume_opens_others(listeners: list[socket.socket]) -> None:
    servers = Servers()
    accepting = Acceptor(listeners, servers.make, run)
    await accepting.start()
    assert (len(accepting.servers), servers.accepting) == (2, 2)
    accepting.pause()
    assert (accepting.servers, servers.accepting) == ([], 0)
    accepting.resume()
    await until(lambda: servers.accepting == 2)
    assert len(accepting.servers) == 2
    accepting.pause()


async def test_what_cannot_be_opened_is_tried_again_and_nothing_is_half_open(listeners: list[socket.socket]) -> None:
    servers = Servers()
    servers.failing = 2
    accepting = Acceptor(listeners, servers.make, run)
    with pytest.raises(OSError, match="open files"):
        await accepting.start()
    assert (accepting.servers, servers.accepting) == ([], 0)
    assert servers.copies[1].fileno() == -1
    servers.made.clear()
    accepting.resume()
    await until(lambda: len(accepting.servers) == 2)
    assert servers.accepting == 2
    accepting.pause()


async def test_a_pause_that_comes_between_two_tries_holds(listeners: list[socket.socket]) -> None:
    servers = Servers()
    servers.failing = 1
    accepting = Acceptor(listeners, servers.make, run)
    accepting.resume()
    await until(lambda: not servers.failing)
    tries = servers.tries
    accepting.pause()
    await asyncio.sleep(0.05)
    assert (servers.tries, servers.accepting) == (tries, 0)


async def test_a_pause_that_comes_while_it_is_opened_holds(listeners: list[socket.socket]) -> None:
    servers = Servers()
    servers.held.clear()
    accepting = Acceptor(listeners, servers.make, run)
    accepting.resume()
    await until(lambda: servers.tries == 1)
    accepting.pause()
    servers.held.set()
    await until(lambda: len(servers.made) == 2 and not servers.accepting)
    assert accepting.servers == []


async def test_two_resumes_at_once_accept_once(listeners: list[socket.socket]) -> None:
    servers = Servers()
    servers.held.clear()
    accepting = Acceptor(listeners, servers.make, run)
    accepting.resume()
    await until(lambda: servers.tries == 1)
    accepting.pause()
    accepting.resume()
    await until(lambda: servers.tries == 2)
    servers.held.set()
    await until(lambda: len(servers.made) == 4 and servers.accepting == 2)
    assert len(accepting.servers) == 2
    accepting.pause()
