"""What Channels asks of a layer: to send, to receive, groups and `flush`.

What is sent is published at a gateway; what is received comes over one WebSocket a process. A group is not a list of
channels anywhere: each process knows its own members, and is told once what all of them get.

Owns the layer. What it may be told is `layer_settings`, how messages wait here `consumer_queues`, how they come
`layer_connection`, who of several workers gets one `competing_consumers`, and what is large `large_messages`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import zlib
from collections.abc import Awaitable, Coroutine
from typing import Any

import msgspec

from messageflow.errors import GatewayUnreachable, MessageflowError, OutcomeUnknown
from messageflow.extras import needing
from messageflow.integrations.channels import layer_connection
from messageflow.integrations.channels.competing_consumers import SharedQueues
from messageflow.integrations.channels.consumer_queues import ConsumerQueues, Envelope
from messageflow.integrations.channels.large_messages import LARGE, MOST_BYTES, MessageParts
from messageflow.integrations.channels.layer_connection import LayerConnection
from messageflow.integrations.channels.layer_settings import make_flows, read_layer_settings
from messageflow.publisher.results import Receipt

with needing("messageflow.integrations.channels", "channels"):
    from asgiref.sync import AsyncToSync
    from channels.exceptions import ChannelFull, MessageTooLarge
    from channels.layers import BaseChannelLayer

SHARDS = 64  # channels of a gateway that groups share: half of what one connection may hold

log = logging.getLogger("messageflow.channels")
_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class MessageflowChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """A channel layer over a gateway, whatever broker it has: the extensions `groups` and `flush`.

    Args:
        config: the fields of `LayerSettings`.

    Attributes:
        client_prefix: names this process among those that share the gateway.
        group_expiry: seconds a channel stays in a group that it never leaves.

    Raises:
        ConfigurationError: one of them cannot be used; the message names it.
    """

    extensions = ("groups", "flush")

    def __init__(self, **config: Any) -> None:
        told = read_layer_settings(config)
        super().__init__(expiry=told.expiry, capacity=told.capacity)
        self.channel_capacity = self.compile_capacities(told.channel_capacity)
        self.group_expiry = told.group_expiry
        self.client_prefix = os.urandom(12).hex()
        self._prefix = prefix = told.prefix
        self._flow, self._blocking = make_flows(told)
        self._mail, self._everybody = f"{prefix}process.{self.client_prefix}", f"{prefix}everybody"
        self._queues = ConsumerQueues(told.group_expiry, self.get_capacity)
        self._shared = SharedQueues(self._flow, prefix, self.client_prefix, self.get_capacity)
        self._parts = MessageParts(self._flow, prefix)
        self._link: LayerConnection | None = None
        self._working = set[asyncio.Task[Any]]()

    @property
    def channels(self) -> dict[str, Any]:
        """What was sent from here to channels that have no process, and was not received here, until it expires."""
        return self._shared.sent

    @property
    def dropped(self) -> int:
        """Messages for which a channel had no room, where no `ChannelFull` could be raised; the log names channels."""
        return self._queues.dropped

    # Channels

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return a name that only this process receives."""
        return f"{prefix}.{self.client_prefix}!{os.urandom(16).hex()}"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel.

        Raises:
            ChannelFull: too many messages wait there.
            MessageTooLarge: it has more than 8 MiB.
            PublishError: the gateway is away.
        """
        assert isinstance(message, dict), "message is not a dict"
        self.require_valid_channel_name(channel)
        assert "__asgi_channel__" not in message
        envelope = await self._enclose(channel, message, store=not self._is_own(channel))
        if "!" not in channel:
            if not await self._shared.send(channel, envelope, self._publish):
                raise ChannelFull(channel)
        elif not self._is_own(channel):
            await self._publish(self._find_mail(channel), envelope)
        elif not self._queues.put(channel, envelope):
            raise ChannelFull(channel)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the next message of a channel. Cancelled, it has taken none."""
        while True:
            queue = self._queues.find(channel)
            envelope = queue.take_now() if queue is not None else None
            if envelope is None:
                envelope = await self._take(channel)
            body = envelope.body if not envelope.parts else await self._fetch(channel, envelope)
            if body is not None:
                message: dict[str, Any] = _unpack(body)
                return message

    # Groups

    async def group_add(self, group: str, channel: str) -> None:
        """Let a channel get what is sent to a group: once this returns, where it is one of this process."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        if await self._is_told_elsewhere(group, channel, joins=True):
            return
        await (await self._open_link()).follow(self._find_shard(group))
        self._queues.join(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Let a channel leave a group."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        if not await self._is_told_elsewhere(group, channel, joins=False):
            self._queues.leave(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to all channels of a group. Where there is no room in one, it goes without.

        Returns when those of this process have it: who sends faster than they read waits for them.

        Raises:
            MessageTooLarge: it has more than 8 MiB.
            PublishError: the gateway is away.
        """
        assert isinstance(message, dict), "Group message is not a dict"
        self.require_valid_group_name(group)
        envelope, shard = await self._enclose("", message, group), self._find_shard(group)
        receipt = await self._publish(shard, envelope)
        link = self._link
        if link is not None and link.is_here() and self._queues.has_group(group):
            await link.wait_until_read(shard, receipt.offset)

    # Flush

    async def flush(self) -> None:
        """Forget all messages and groups, here at once, in other processes as soon as they hear of it."""
        self._queues.clear()
        await self._shared.clear()
        await self._publish(self._everybody, Envelope(self.client_prefix, time.time() + self.expiry, b""))

    async def close(self) -> None:
        """Let go of the gateway. What is asked afterwards goes on where it was."""
        for task in [*self._working]:
            task.cancel()
        if self._link is not None and self._link.is_here():
            await self._link.close()
        self._blocking.close()
        await self._flow.close()

    # Names

    def _is_own(self, channel: str) -> bool:
        return channel[: channel.find("!")].endswith(f".{self.client_prefix}")

    def _find_mail(self, channel: str) -> str:
        return f"{self._prefix}process.{channel[: channel.find('!')].rpartition('.')[2]}"

    def _find_shard(self, group: str) -> str:
        return f"{self._prefix}groups.{zlib.crc32(group.encode()) % SHARDS}"

    # To the gateway

    async def _enclose(self, to: str, message: dict[str, Any], group: str = "", *, store: bool = True) -> Envelope:
        body, parts = _pack(message), ""
        if len(body) > MOST_BYTES:
            raise MessageTooLarge(f"{len(body)} bytes, of {MOST_BYTES} at most")
        if len(body) > LARGE and store:
            body, parts = b"", await self._parts.store(body)
        return Envelope(to, time.time() + self.expiry, body, group, parts=parts)

    async def _publish(self, channel: str, envelope: Envelope, key: str | None = None) -> Receipt:
        if asyncio.get_running_loop() in AsyncToSync.loop_thread_executors:
            # A loop of `async_to_sync`, which lives for this one call: a connection of its own would too.
            return self._blocking.publish(channel, envelope, idempotency_key=key)
        key, deadline = key or os.urandom(16).hex(), time.monotonic() + layer_connection.PATIENCE
        while True:
            try:
                return await self._flow.publish(channel, envelope, idempotency_key=key)
            except (GatewayUnreachable, OutcomeUnknown):
                # A flow gives up after a second in which nobody listens; a consumer would end by that.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(layer_connection.FIRST_PAUSE)

    async def _is_told_elsewhere(self, group: str, channel: str, *, joins: bool) -> bool:
        """Tell the process that a channel belongs to, where it is another one, to let it join or leave a group."""
        if "!" not in channel or self._is_own(channel):
            return False
        change = Envelope(channel, time.time() + self.expiry, b"", group, joins)
        await self._publish(self._find_mail(channel), change)
        return True

    def _forward(self, name: str, key: str, envelope: Envelope) -> None:
        """Let a member that has no process get it once, of however many processes forward it: they use the same key."""
        told = Envelope(name, envelope.expires, envelope.body, parts=envelope.parts)

        async def forward() -> None:
            if not await self._shared.send(name, told, lambda channel, sent: self._publish(channel, sent, key)):
                self._queues.drop(name)

        self._work(forward())

    # From the gateway

    async def _open_link(self) -> LayerConnection:
        link = self._link
        if link is None or link.is_over():
            former = link.positions if link is not None else {}
            user, pattern = f"channels.{self.client_prefix}", f"{self._prefix}*"
            self._link = link = LayerConnection(self._flow, user, pattern, self._take_publication, former)
        if not link.follows(self._everybody):
            await link.follow(self._mail, from_start=True)
            await link.follow(self._everybody)
        return link

    async def _take(self, channel: str) -> Envelope:
        queue = self._queues.find(channel)
        if queue is None:
            self.require_valid_channel_name(channel)
            if "!" not in channel:
                await (await self._open_link()).follow(self._shared.name(channel), from_start=True)
                return await self._shared.take(channel)
            assert self._is_own(channel), "this is not a channel of this process"
        link = self._link
        if link is None or link.is_over() or not link.follows(self._everybody):
            await self._open_link()
        return await (queue.take() if queue is not None else self._queues.take(channel))

    async def _fetch(self, channel: str, envelope: Envelope) -> bytes | None:
        try:
            body = await self._parts.fetch(envelope.parts)
        except (asyncio.CancelledError, MessageflowError):
            queues = self._queues if "!" in channel else self._shared
            queues.put_back(channel, envelope)
            raise
        if body is None:
            log.warning("a large message for %s is dropped: the gateway has not kept it for as long", channel)
        return body

    def _take_publication(self, channel: str, epoch: str, offset: int, envelope: Envelope) -> Awaitable[None] | None:
        if envelope.expires < time.time():
            return None
        if self._shared.is_one(channel):
            self._shared.offer(channel, epoch, offset, envelope)
        elif channel == self._everybody:
            if envelope.to != self.client_prefix:
                self._queues.clear()
                self._shared.forget()
        elif channel != self._mail:
            for name in self._queues.fan_out(envelope):
                self._forward(name, f"{epoch}:{channel}:{offset}:{name}", envelope)
        elif envelope.group:
            change = self.group_add if envelope.joins else self.group_discard
            self._work(change(envelope.group, envelope.to))
        elif not self._queues.put(envelope.to, envelope):
            self._queues.drop(envelope.to)
        return self._queues.make_room() if self._queues.is_crowded() else None

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        async def say_how_it_failed() -> None:
            try:
                await work
            except MessageflowError as error:
                log.warning("what another process asked of the channel layer is not done: %s", error)

        task = asyncio.get_running_loop().create_task(say_how_it_failed())
        self._working.add(task)
        task.add_done_callback(self._working.discard)
