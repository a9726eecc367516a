"""Accepting the connections of a port, which can be paused: then who comes waits in the kernel.

Owns copies of the listeners, which a pause closes. Never knows why it is paused.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

LISTEN_AGAIN = 0.1  # seconds, where no file can be opened


class Acceptor:
    """What accepts.

    Args:
        listeners: of the port; they stay open.
        make_server: accepts from a copy of one of them.
        run: runs a coroutine, and owns it.

    Attributes:
        servers: those that accept now; the list stays the same one.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        make_server: Callable[[socket.socket], Awaitable[asyncio.AbstractServer]],
        run: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.servers: list[asyncio.AbstractServer] = []
        self._listeners = listeners
        self._make_server = make_server
        self._run = run
        self._is_paused = False

    async def start(self) -> None:
        """Accept, unless it was paused meanwhile.

        Raises:
            OSError: no file can be opened; then nothing is accepted.
        """
        opened: list[asyncio.AbstractServer] = []
        try:
            for each in self._listeners:
                opened.append(await self._accept_from(each.dup()))  # noqa: PERF401 - what is open is closed when one fails
        except BaseException:
            _close(opened)
            raise
        if self._is_paused or self.servers:  # a resume came while another was under way
            _close(opened)
        else:
            self.servers += opened

    async def _accept_from(self, copy: socket.socket) -> asyncio.AbstractServer:
        try:
            return await self._make_server(copy)
        except BaseException:
            copy.close()
            raise

    def pause(self) -> None:
        """Accept nothing: who comes waits in the kernel, where all workers find them."""
        self._is_paused = True
        _close(self.servers)
        self.servers.clear()

    def resume(self) -> None:
        """Accept again, as soon as that is possible."""
        self._is_paused = False
        self._start_soon()

    def stop(self) -> None:
        """Accept nothing more; the servers that accept are left to who ends them."""
        self._is_paused = True

    def _start_soon(self) -> None:
        self._run(self._start_again())

    async def _start_again(self) -> None:
        if self._is_paused or self.servers:
            return
        try:
            await self.start()
        except OSError:  # what was free has been taken
            asyncio.get_running_loop().call_later(LISTEN_AGAIN, self._start_soon)


def _close(servers: Iterable[asyncio.AbstractServer]) -> None:
    for each in servers:
        each.close()
