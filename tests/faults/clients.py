"""Readers of a fault run: each has a session, a link of its own, and comes back by itself for as long as it takes.

Owns the socket and the time between attempts. A client never gives up, whatever code it is closed with, because what it
is owed at the end is what the checker wants to know.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jwt
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.faults.history import Admitted, ClientStart, Close, End, Recorder, now
from tests.faults.session import Denied, Session
from tests.support import TOKEN_SECRET

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.faults.proxy import Proxy

OPEN_TIMEOUT = 4.0
SILENCE = 3.0
"""Seconds beyond the ping interval after which a link counts as dead."""

FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0
RECEIVE_BUFFER = 8 * 1024
"""Bytes the kernel holds for a client that does not read."""

FAILURES = (OSError, InvalidHandshake, InvalidMessage, TimeoutError, EOFError, msgspec.MsgspecError)


def never() -> bool:
    """Nobody is away."""
    return False


class Client:
    """One reader.

    Args:
        name: its name in the history.
        user: who it authenticates as; it holds his personal channel and the broadcast channel.
        asked: the further channels it subscribes to.
        proxy: its link to the gateway.
        recorder: takes what it sees.
        chance: spreads its reconnects.
        tags: whether it says tags; see `Session`.

    Attributes:
        reading: cleared, it stops reading and lets its buffers fill.
        coming: cleared, it does not come back once its connection has ended.
    """

    def __init__(
        self,
        name: str,
        user: str,
        asked: Sequence[str],
        proxy: Proxy,
        recorder: Recorder,
        chance: random.Random,
        *,
        tags: bool = True,
    ) -> None:
        self.name = name
        self.user = user
        self.proxy = proxy
        self.channels = [f"#{user}", "*", *asked]
        self.session = Session(name, self.channels[:2], self.channels[2:], recorder.write, tags=tags)
        self.reading = asyncio.Event()
        self.reading.set()
        self.coming = asyncio.Event()
        self.coming.set()
        self.tags = tags
        self._recorder = recorder
        self._chance = chance
        self._failures = 0

    @property
    def whole(self) -> bool:
        """Whether it is connected and holds all its channels."""
        return self.session.whole

    async def run(self) -> None:
        """Read until cancelled."""
        self._recorder.write(ClientStart(at=now(), process=self.name, user=self.user, channels=self.channels))
        while True:
            await self.coming.wait()
            code, reason = await self._connection()
            if self.session.entered:
                self._recorder.write(Close(at=now(), process=self.name, code=code, reason=reason))
                self._failures = 0
            self.session.entered = set()
            self._failures += 1
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2**self._failures)
            await asyncio.sleep(self._chance.uniform(0, longest))

    async def visit(self, seconds: float, patience: float, away: Callable[[], bool] = never) -> bool:
        """Come within `patience`, read for `seconds` and leave for good; return whether it came.

        Time in which the gateway is `away` does not count.
        """
        reading = asyncio.create_task(self.run())
        came = await until(lambda: int(self.whole), patience, away)
        await asyncio.sleep(seconds)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        self._recorder.write(End(at=now(), process=self.name))
        return bool(came)

    async def _connection(self) -> tuple[int, str]:
        """Hold one connection to its end; return the code and reason it ended with."""
        try:
            url = f"ws://127.0.0.1:{self.proxy.port}/connection/websocket"
            plug = await self._plug()
            async with connect(
                url,
                sock=plug,
                compression=None,
                ping_interval=None,
                open_timeout=OPEN_TIMEOUT,
                close_timeout=0.5,
                max_size=None,
                max_queue=(4, 1),
                proxy=None,
            ) as connection:
                await connection.send(self.session.opening(token(self.user)))
                await self._converse(connection)
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (0, "connection lost")
        except Denied as error:
            return error.code, error.reason
        except FAILURES as error:
            return 0, str(error) or type(error).__name__
        return 0, ""

    async def _plug(self) -> socket.socket:
        plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            plug.setblocking(False)
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", self.proxy.port))
        except BaseException:
            plug.close()
            raise
        return plug

    async def _converse(self, connection: ClientConnection) -> None:
        while True:
            await self.reading.wait()
            async with asyncio.timeout(OPEN_TIMEOUT if not self.session.ping else self.session.ping + SILENCE):
                message = await connection.recv(decode=True)
            before = self.session.client
            for answer in self.session.take(message):
                await connection.send(answer)
            if (client := self.session.client) != before:
                self._recorder.write(Admitted(at=now(), process=self.name, client=client))


async def until(count: Callable[[], int], seconds: float, away: Callable[[], bool] = never) -> int:
    """Ask until the answer is not 0, and return it; 0 when time is over. None passes while somebody is `away`."""
    before = time.monotonic()
    while True:
        found = count()
        if found or seconds < 0:
            return found
        await asyncio.sleep(0.02)
        now = time.monotonic()
        seconds -= 0 if away() else now - before
        before = now


def token(user: str) -> str:
    """Return a token that is good before, during and after any step of the clock a run makes."""
    seconds = int(time.time())
    claims = {"sub": user, "iat": seconds - 3600, "exp": seconds + 7200}
    return jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")
