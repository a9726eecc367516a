"""The one WebSocket by which a process hears what is published in the channels of a layer.

Whatever happens to it, it comes back and goes on where it was: the gateway keeps what was published meanwhile. Owns the
socket, the task that reads it, and the positions. Belongs to one event loop. Never publishes.

Source: docs/protocol.md.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from messageflow.core.backoff import Backoff
from messageflow.core.codes import ALREADY_SUBSCRIBED
from messageflow.core.gateway_paths import WEBSOCKET_PATH
from messageflow.core.line_rates import LineRates
from messageflow.core.protocol import ConnectResult, PublicationView, SubscribeResult
from messageflow.errors import ConfigurationError, GatewayUnreachable, MessageflowError
from messageflow.extras import needing
from messageflow.integrations.channels.consumer_queues import Envelope
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.results import Position

with needing("messageflow.integrations.channels", "channels"):
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import WebSocketException

log = logging.getLogger("messageflow.channels")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0  # seconds
PATIENCE = 10.0  # seconds that somebody waits for a gateway that is away
READ_PATIENCE = 1.0  # seconds that who sent something waits until it was read here
PAGE = 1000  # publications in one read of a history
PONG = "{}"


class _Push(msgspec.Struct, frozen=True):
    channel: str = ""
    pub: PublicationView | None = None


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class _Line(msgspec.Struct, frozen=True):
    id: int = 0
    push: _Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    error: _Error | None = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
Take = Callable[[str, str, int, Envelope], Awaitable[None] | None]


class LayerConnection:
    """Hears some channels of a gateway.

    Args:
        flow: makes tokens and reads histories.
        user: whom the gateway takes this for.
        pattern: of the channels that it may hear.
        take: gets what is published, with its channel, epoch and offset, in order and once. What it returns is awaited
            before there is more.
        positions: where a link before this one was.

    Attributes:
        positions: where each channel was read up to.
    """

    def __init__(self, flow: AsyncFlow, user: str, pattern: str, take: Take, positions: dict[str, Position]) -> None:
        self._flow = flow
        self._user = user
        self._pattern = pattern
        self._take = take
        self.positions = positions
        self._loop = asyncio.get_running_loop()
        self._following: dict[str, asyncio.Task[None]] = {}
        self._followed = {*positions}  # what is missed until they are heard again comes then
        self._replies: dict[int, tuple[str, asyncio.Future[_Line]]] = {}
        self._awaited: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._last_id = 1
        self._connected: asyncio.Future[ClientConnection] = self._loop.create_future()
        self._lines = LineRates(burst=1, per_second=0.1)
        self._running = self._loop.create_task(self._run())

    def is_over(self) -> bool:
        """Whether it hears nothing any more: its event loop has ended, or it was closed."""
        return not self._loop.is_running() or self._running.done()

    def is_here(self) -> bool:
        """Whether the running event loop is the one that it belongs to."""
        return self._loop is asyncio.get_running_loop() and not self._running.done()

    def follows(self, channel: str) -> bool:
        """Whether nothing of a channel will be missed any more."""
        return channel in self._followed

    async def wait_until_read(self, channel: str, offset: int) -> None:
        """Wait until a publication was taken; not for ever, since the connection may be lost."""
        at = self.positions.get(channel)
        if channel not in self._followed or at is None or at.offset >= offset:
            return
        read = self._loop.create_future()
        self._awaited.setdefault(channel, deque()).append((offset, read))
        try:
            async with asyncio.timeout(READ_PATIENCE):
                await read
        except TimeoutError:
            return

    async def follow(self, channel: str, *, from_start: bool = False) -> None:
        """Hear a channel from now on, or from the first that the gateway has of it. Returns once it does.

        Raises:
            PublishError: the gateway is away.
        """
        if channel in self._followed:
            return
        if not self.is_here():
            there = asyncio.run_coroutine_threadsafe(self.follow(channel, from_start=from_start), self._loop)
            await asyncio.wrap_future(there)
            return
        following = self._following.get(channel)
        if following is None:
            following = self._following[channel] = self._loop.create_task(self._follow(channel, from_start))
            following.add_done_callback(lambda _: self._following.pop(channel, None))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(following)
        except TimeoutError:
            raise GatewayUnreachable(f"{self._flow.url} gives no answer on a WebSocket; see the log") from None

    async def close(self) -> None:
        """End it."""
        tasks = [self._running, *self._following.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, channel: str, from_start: bool) -> None:
        if from_start and channel not in self.positions:
            await self._read_history(channel)
        while True:
            socket = await asyncio.shield(self._connected)
            try:
                await self._subscribe(socket, channel)
            except (OSError, WebSocketException):
                await asyncio.sleep(FIRST_PAUSE)
            else:
                self._followed.add(channel)
                return

    async def _read_history(self, channel: str) -> None:
        since = None
        while True:
            history = await self._flow.history(channel, limit=PAGE, since=since)
            for each in history.publications:
                self.positions[channel] = Position(each.offset, history.epoch)
                await self._hand_over(channel, history.epoch, each.offset, msgspec.convert(each.data, Envelope))
            if not history.publications or history.publications[-1].offset >= history.offset:
                self.positions.setdefault(channel, history.position)
                return
            since = Position(history.publications[-1].offset, history.epoch)

    # The connection

    async def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while True:
            try:
                async with connect(self._find_address(), compression=None, max_size=None) as socket:
                    await self._converse(socket, backoff)
            except (OSError, WebSocketException, MessageflowError, TimeoutError, msgspec.MsgspecError) as error:
                if backoff.failures and self._lines.take("away", time.monotonic()) is not None:
                    log.warning("the channel layer hears nothing of its gateway, and tries again: %s", error)
            await asyncio.sleep(backoff.fail())

    def _find_address(self) -> str:
        url = self._flow.url
        if not url.startswith("http"):
            raise ConfigurationError(f"a channel layer hears a gateway, and {url} is none: give it the url of one")
        return f"ws{url.removeprefix('http')}{WEBSOCKET_PATH}"

    async def _converse(self, socket: ClientConnection, backoff: Backoff) -> None:
        limit = self._flow.token_lifetime_limit
        token = await self._flow.token(self._user, limit, allow=[self._pattern])
        await socket.send(msgspec.json.encode({"id": 1, "connect": {"token": token, "name": "channels"}}), text=True)
        reply = _decode_line(str(await socket.recv()).split("\n")[0])
        if reply.connect is None:
            raise GatewayUnreachable(f"the gateway refuses this connection: {reply.error}")
        reading = self._loop.create_task(self._read(socket))
        reading.add_done_callback(lambda _: self._disconnected())
        try:
            for channel in [*self._followed]:
                await self._subscribe(socket, channel)
            backoff.reset()
            if not self._connected.done():
                self._connected.set_result(socket)
            await reading
        finally:
            reading.cancel()
            if reading.done() and not reading.cancelled():
                reading.exception()  # which was said, or is the end of a connection that is over anyway

    def _disconnected(self) -> None:
        if self._connected.done():
            self._connected = self._loop.create_future()
        for _, reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionResetError())
                reply.exception()  # nobody may wait for it any more
        self._replies.clear()

    async def _subscribe(self, socket: ClientConnection, channel: str) -> None:
        self._last_id += 1
        request: dict[str, Any] = {"channel": channel}
        at = self.positions.get(channel)
        if at is not None:
            request |= {"recover": True, "epoch": at.epoch, "offset": at.offset}
        reply: asyncio.Future[_Line] = self._loop.create_future()
        self._replies[self._last_id] = channel, reply
        await socket.send(msgspec.json.encode({"id": self._last_id, "subscribe": request}), text=True)
        line = await reply
        if line.error is not None and line.error.code != ALREADY_SUBSCRIBED.code:
            raise GatewayUnreachable(f"the gateway lets nobody hear {channel}: {line.error.message}")

    async def _read(self, socket: ClientConnection) -> None:
        """Take what comes: who receives it goes on while this waits for more, or for them."""
        async for message in socket:
            for text in str(message).split("\n"):
                if text == PONG:
                    await socket.send(PONG)
                elif text:
                    await self._take_line(_decode_line(text))

    async def _take_line(self, line: _Line) -> None:
        push = line.push
        if push is not None:
            if push.pub is not None:
                await self._take_publication(push.channel, push.pub)
            return
        channel, reply = self._replies.pop(line.id, ("", None))
        if line.subscribe is not None:
            await self._resume(channel, line.subscribe)
        if reply is not None and not reply.done():
            reply.set_result(line)

    async def _resume(self, channel: str, result: SubscribeResult) -> None:
        """Take what was missed, which comes before anything newer."""
        if channel in self.positions and result.recovered:
            for publication in result.publications:
                await self._take_publication(channel, publication)
            return
        if channel in self.positions:
            log.warning("messages in %s were published so long ago that the gateway has not kept them", channel)
        self.positions[channel] = Position(result.offset, result.epoch)

    async def _take_publication(self, channel: str, publication: PublicationView) -> None:
        at = self.positions.get(channel)
        if at is None or 0 < publication.offset <= at.offset:
            return
        if publication.offset:
            self.positions[channel] = Position(publication.offset, at.epoch)
        await self._hand_over(channel, at.epoch, publication.offset, _decode_envelope(publication.data))
        awaited = self._awaited.get(channel)
        while awaited and awaited[0][0] <= publication.offset:
            _, read = awaited.popleft()
            if not read.done():
                read.set_result(None)

    async def _hand_over(self, channel: str, epoch: str, offset: int, envelope: Envelope) -> None:
        waiting = self._take(channel, epoch, offset, envelope)
        if waiting is not None:
            await waiting
