"""The server API: what a backend may ask of the gateway, as method and JSON in, status and JSON out.

The HTTP routes and the in-process path of `messageflow run` both call `Api.call`; whoever calls it has checked the
key. A call that is refused is answered with HTTP 200 and an error, as the protocol has it; only what a proxy or a
client library should see as a failure has a status of its own.

Source: reference/native-protocol.md §3.
"""

from __future__ import annotations

import fnmatch
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from messageflow.brokers.base import Item
from messageflow.core.channels import NamespaceOptions
from messageflow.core.claims import SubscribeOptions
from messageflow.core.codes import (
    BAD_REQUEST,
    INTERNAL,
    METHOD_NOT_FOUND,
    NOT_AVAILABLE,
    UNKNOWN_CHANNEL,
    UNRECOVERABLE,
)
from messageflow.core.json import UnsafeJSON, check_utf8, compact
from messageflow.core.protocol import view
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable
from messageflow.gateway import calls
from messageflow.gateway.publishing import CallRefused, Publishing, receipt
from messageflow.hub import control
from messageflow.hub.hub import Hub
from messageflow.version import VERSION

MOST_HISTORY = 10_000  # publications in one answer
_BROKER_STATUS = {
    NoRoom: 507,
    Unanswered: 504,
    Unavailable: 503,
}  # what a publisher has to tell apart: nothing stored, nobody knows

_encode = msgspec.json.Encoder().encode
_decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_decode_node = msgspec.json.Decoder(calls.NodeFigures).decode
_decode_batch = msgspec.json.Decoder(calls.Batch).decode


class _Method(NamedTuple):
    decode: Callable[[bytes | Raw], Any]
    run: Callable[[Any], Awaitable[Any]]


class _Publishing(NamedTuple):
    """A method of a batch that is stored together with its neighbours."""

    decode: Callable[[bytes | Raw], Any]
    item: Callable[[Any], Item]


class Api:
    """The calls of one gateway worker.

    Args:
        hub: whose sessions and broker these are about.
        size_limit: bytes of JSON one publication may have.
    """

    def __init__(self, hub: Hub, size_limit: int) -> None:
        self._hub = hub
        self._publishing = Publishing(hub.namespaces, size_limit)
        self._started = time.monotonic()
        self._calls: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        hub.answers |= {b"channels": self._own_channels, b"info": self._own_info}
        make = self._publishing
        self._storing = {
            "publish": _Publishing(_decoder(calls.Publish), lambda call: make.publish(call, call.channel)),
            "push": _Publishing(_decoder(calls.Push), make.push),
            "broadcast_push": _Publishing(_decoder(calls.BroadcastPush), make.broadcast_push),
        }
        self._methods = {
            "broadcast": _Method(_decoder(calls.Broadcast), self._broadcast),
            "subscribe": _Method(_decoder(calls.Subscribe), self._subscribe),
            "unsubscribe": _Method(_decoder(calls.Unsubscribe), self._unsubscribe),
            "disconnect": _Method(_decoder(calls.Disconnect), self._disconnect),
            "refresh": _Method(_decoder(calls.Refresh), self._refresh),
            "presence": _Method(_decoder(calls.OfChannel), self._presence),
            "presence_stats": _Method(_decoder(calls.OfChannel), self._presence_stats),
            "history": _Method(_decoder(calls.History), self._history),
            "history_remove": _Method(_decoder(calls.OfChannel), self._history_remove),
            "channels": _Method(_decoder(calls.Channels), self._channels),
            "info": _Method(_decoder(calls.Nothing), self._info),
        }

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Carry out one call.

        Args:
            method: its name, as in the path.
            body: its JSON.

        Returns:
            The HTTP status and the JSON to answer. Cancelling leaves the outcome unknown.
        """
        if self._hub.draining:
            refusal = CallRefused(INTERNAL, "the gateway is shutting down: try another, or again soon", status=503)
            return refusal.status, self._failure(refusal)
        return await self.call_from_inside(method, body)

    async def call_from_inside(self, method: str, body: bytes) -> tuple[int, bytes]:
        """As `call`, for the application in the same process, which may push until its last request has ended."""
        self._calls[method if self._knows(method) else "unknown"] += 1
        try:
            check_utf8(body)
            if method == "batch":
                return 200, await self._batch(_decode_batch(body or b"{}"))
            return 200, b'{"result":%b}' % _encode(await self._run(method, body or b"{}"))
        except CallRefused as refusal:
            return refusal.status, self._failure(refusal)
        except (msgspec.MsgspecError, UnsafeJSON, RecursionError) as error:
            return 400, self._failure(CallRefused(BAD_REQUEST, f"the body is not what {method} takes: {error}"))
        except BrokerError as error:
            self._hub.log_limited(logging.ERROR, "call_failed", method=method, error=str(error))
            status = next((status for kind, status in _BROKER_STATUS.items() if isinstance(error, kind)), 200)
            return status, self._failure(CallRefused(INTERNAL, str(error)))

    @property
    def answered(self) -> Mapping[str, int]:
        """How many calls came, by method."""
        return self._calls

    @property
    def refused(self) -> Mapping[int, int]:
        """How many calls and parts of batches were refused, by error code."""
        return self._refused

    def _knows(self, method: str) -> bool:
        return method in self._storing or method in self._methods or method == "batch"

    def _failure(self, refusal: CallRefused) -> bytes:
        self._refused[refusal.code] += 1
        return b'{"error":%b}' % _encode(calls.Failure(refusal.code, str(refusal)))

    async def _run(self, name: str, body: bytes | Raw) -> Any:
        storing = self._storing.get(name)
        if storing is not None:
            item = storing.item(storing.decode(body))
            return receipt(item.channel, (await self._hub.broker.publish([item]))[0])
        method = self._methods.get(name)
        if method is None:
            raise CallRefused(METHOD_NOT_FOUND, f"there is no method {name!r}")
        return await method.run(method.decode(body))

    async def _batch(self, batch: calls.Batch) -> bytes:
        """Carry out calls in order; neighbours that only publish are stored together."""
        replies: list[bytes] = [b""] * len(batch.commands)
        waiting: list[tuple[int, str, Item]] = []
        for index, command in enumerate(batch.commands):
            name, body = next(iter(command.items()), ("", Raw(b"{}")))
            try:
                storing = self._storing.get(name)
                if storing is not None:
                    waiting.append((index, name, storing.item(storing.decode(body))))
                    continue
                await self._store(waiting, replies)
                replies[index] = b'{"%b":%b}' % (name.encode(), _encode(await self._run(name, body)))
            except CallRefused as refusal:
                replies[index] = self._failure(refusal)
            except (msgspec.MsgspecError, UnsafeJSON) as error:
                replies[index] = self._failure(CallRefused(BAD_REQUEST, f"not what {name} takes: {error}"))
        await self._store(waiting, replies)
        return b'{"replies":[%b]}' % b",".join(replies)

    async def _store(self, waiting: list[tuple[int, str, Item]], replies: list[bytes]) -> None:
        if not waiting:
            return
        stored = await self._hub.broker.publish([item for _, _, item in waiting])
        for (index, name, item), outcome in zip(waiting, stored, strict=True):
            replies[index] = b'{"%b":%b}' % (name.encode(), _encode(receipt(item.channel, outcome)))
        waiting.clear()

    # Publishing to many

    async def _broadcast(self, call: calls.Broadcast) -> Any:
        if not call.channels:
            raise CallRefused(BAD_REQUEST, "there are no channels to publish into")
        responses: list[Any] = []
        items: list[Item] = []
        for channel in call.channels:
            try:
                items.append(self._publishing.publish(call, channel))
                responses.append(None)
            except CallRefused as refusal:
                if refusal.status != 200:
                    raise
                responses.append({"error": calls.Failure(refusal.code, str(refusal))})
        outcomes = iter(zip(items, await self._hub.broker.publish(items), strict=True))
        for index, response in enumerate(responses):
            if response is None:
                item, stored = next(outcomes)
                responses[index] = {"result": receipt(item.channel, stored)}
        return {"responses": responses}

    # About users

    async def _subscribe(self, call: calls.Subscribe) -> calls.Nothing:
        self._options(call.channel)
        overrides = {
            name: override.value
            for name in calls.Overrides.__struct_fields__
            if (override := getattr(call.override, name)) is not None
        }
        options = SubscribeOptions(info=_optional(call.info), data=_optional(call.data), **overrides)
        return await self._tell(
            control.SubscribeUser(
                call.user, call.channel, call.client, options, call.recover_since, call.expire_at or None
            )
        )

    async def _unsubscribe(self, call: calls.Unsubscribe) -> calls.Nothing:
        return await self._tell(control.UnsubscribeUser(call.user, call.channel, call.client))

    async def _disconnect(self, call: calls.Disconnect) -> calls.Nothing:
        code = call.disconnect
        if not 3000 <= code.code <= 4999:
            raise CallRefused(BAD_REQUEST, "a disconnect code is between 3000 and 4999")
        return await self._tell(
            control.DisconnectUser(call.user, call.client, call.whitelist, code.code, code.reason[:100])
        )

    async def _refresh(self, call: calls.Refresh) -> calls.Nothing:
        return await self._tell(control.RefreshUser(call.user, call.client, call.expired, call.expire_at or None))

    async def _tell(self, message: control.Control) -> calls.Nothing:
        if not message.user:
            raise CallRefused(BAD_REQUEST, "the call names no user")
        await self._hub.broker.control(control.encode_control(message))
        return calls.Nothing()

    # About channels

    async def _presence(self, call: calls.OfChannel) -> calls.Presence:
        self._with_presence(call.channel)
        return calls.Presence(await self._hub.broker.presence(call.channel))

    async def _presence_stats(self, call: calls.OfChannel) -> calls.PresenceStats:
        self._with_presence(call.channel)
        stats = await self._hub.broker.presence_stats(call.channel)
        return calls.PresenceStats(stats.clients, stats.users)

    async def _history(self, call: calls.History) -> calls.Page:
        self._with_history(call.channel)
        limit = MOST_HISTORY if call.limit < 0 else min(call.limit, MOST_HISTORY)
        since = call.since
        page = await self._hub.broker.page(call.channel, since.offset if since else None, limit, reverse=call.reverse)
        epoch, offset, tag = page.position
        if since is not None and since.epoch and since.epoch != epoch:
            raise CallRefused(UNRECOVERABLE)
        return calls.Page([view(publication) for publication in page.publications], epoch, offset, tag)

    async def _history_remove(self, call: calls.OfChannel) -> calls.Nothing:
        self._with_history(call.channel)
        await self._hub.broker.remove_history(call.channel)
        return calls.Nothing()

    async def _channels(self, call: calls.Channels) -> calls.ChannelList:
        clients: Counter[str] = Counter()
        for answer in await self._hub.broker.survey(b"channels\n" + call.pattern.encode()):
            clients.update(_decode_counts(answer))
        return calls.ChannelList({name: calls.ChannelFigures(count) for name, count in clients.items()})

    def _own_channels(self, pattern: bytes) -> bytes:
        """How many clients each channel has on this worker."""
        wanted = pattern.decode()
        return _encode(
            {
                name: sum(1 for _ in channel.sessions)
                for name, channel in self._hub.channels.items()
                if not wanted or fnmatch.fnmatchcase(name, wanted)
            }
        )

    async def _info(self, call: calls.Nothing) -> calls.Info:
        answers = await self._hub.broker.survey(b"info\n")
        return calls.Info(sorted(map(_decode_node, answers), key=lambda node: node.name))

    def _own_info(self, _: bytes) -> bytes:
        hub = self._hub
        return _encode(
            calls.NodeFigures(
                uid=hub.name,
                name=hub.name,
                version=VERSION,
                num_clients=len(hub.sessions),
                num_users=len(hub.users),
                num_channels=len(hub.channels),
                num_subs=sum(len(session.subscriptions) for session in hub.sessions.values()),
                uptime=int(time.monotonic() - self._started),
            )
        )

    def _options(self, channel: str) -> NamespaceOptions:
        options = self._hub.namespaces.options(channel)
        if options is None:
            raise CallRefused(UNKNOWN_CHANNEL)
        return options

    def _with_presence(self, channel: str) -> None:
        if not self._options(channel).presence:
            raise CallRefused(NOT_AVAILABLE, f"presence is off in {channel!r}: set `presence` for its namespace")

    def _with_history(self, channel: str) -> None:
        if not self._options(channel).keeps_history:
            raise CallRefused(NOT_AVAILABLE, f"{channel!r} keeps no history: set history_size and history_ttl")


def _decoder(call: type[msgspec.Struct]) -> Callable[[bytes | Raw], Any]:
    return msgspec.json.Decoder(call).decode


def _optional(data: Raw) -> bytes | None:
    return compact(bytes(data)) if data else None
