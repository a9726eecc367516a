"""The server API: what a backend may ask, as method and JSON in, status and JSON out.

The caller has checked the key: the HTTP routes and the in-process path of `messageflow run` through
`gateway.worker_api`, a flow that reaches its broker without a gateway through `redis_publisher`. A call that is refused
is answered with status 200 and an error, as the protocol has it; only what a proxy or a client library should see as a
failure has a status of its own.

Source: docs/http-api.md.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from messageflow.api import answers, bounds, calls
from messageflow.api.call_errors import CallErrors
from messageflow.api.methods import METHODS
from messageflow.api.online import find_online
from messageflow.api.publishing import CallRefused, Publishing, check_user, find_options, make_receipt
from messageflow.brokers.base import ImmediateStore, Item, NodeMessages, PresenceReader, Stored, StreamStore
from messageflow.core import control
from messageflow.core.channels import REVOKED
from messageflow.core.claims import SubscribeOptions
from messageflow.core.codes import (
    BAD_REQUEST,
    METHOD_NOT_FOUND,
    NOT_AVAILABLE,
    UNRECOVERABLE,
)
from messageflow.core.json import UnsafeJSON, check_utf8, explain
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.protocol import view
from messageflow.core.retention import Retention
from messageflow.core.revocations import MARGIN, MOST, UNLIMITED, Revocation, encode_revocation
from messageflow.core.weights import chunk
from messageflow.errors import BrokerError

EACH_USER = "this is for one user a call; what is for everyone is sent with broadcast_push"

Answer = Callable[[int, bytes], None]
"""Takes the HTTP status and the JSON to answer."""

_encode = msgspec.json.Encoder().encode
_decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_decode_node = msgspec.json.Decoder(answers.Node).decode
_decode_batch = msgspec.json.Decoder(calls.BatchCall).decode


class ApiBroker(StreamStore, PresenceReader, NodeMessages, Protocol):
    """The contracts of a broker that calls need."""


class _Method(NamedTuple):
    decode: Callable[[bytes | Raw], Any]
    run: Callable[[Api, Any], Awaitable[Any]]


class _Publishing(NamedTuple):
    """A method of a batch that is stored together with its neighbours."""

    decode: Callable[[bytes | Raw], Any]
    item: Callable[[Publishing, Any], Item]


class Api:
    """The calls over one broker. Cheap to make.

    Args:
        broker: what they are carried out on.
        namespaces: the options of every channel.
        size_limit: bytes of JSON one publication may have.
        on_failure: told the method and the error when the broker fails.
        revoked_for: seconds a revocation is kept, see `core.revocations.kept_for`.
        before_publishing: returns what to wait for before items are stored, None for nothing.
        between: lets others have their turn between two slices of a large call; None where there are no others.
    """

    def __init__(
        self,
        broker: ApiBroker,
        namespaces: Namespaces,
        size_limit: int,
        on_failure: Callable[[str, BrokerError], None] = lambda method, error: None,
        revoked_for: float = UNLIMITED,
        before_publishing: Callable[[Sequence[Item]], Awaitable[None] | None] = lambda items: None,
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._broker = broker
        self._broker_now = broker if isinstance(broker, ImmediateStore) else None
        self._namespaces = namespaces
        self._between = between
        self._size_limit = size_limit
        self._publishing = Publishing(namespaces, size_limit)
        self._revoked = Retention(MOST, revoked_for)
        self._errors = CallErrors(on_failure)
        self._before_publishing = before_publishing
        self._calls: Counter[str] = Counter()

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Carry out one call.

        Args:
            method: its name, as in the path.
            body: its JSON.

        Returns:
            The HTTP status and the JSON to answer. Cancelling leaves the outcome unknown.
        """
        self._calls[method if method in METHODS else "unknown"] += 1
        try:
            if len(body) > bounds.MOST_BYTES:
                bounds.check_body(method, body, self._size_limit)
            if not body.isascii():
                check_utf8(body)
            if method == "batch":
                return 200, await self._batch(_decode_batch(body or b"{}"))
            return 200, b'{"result":%b}' % _encode(await self._run(method, body or b"{}"))
        except CallRefused as refusal:
            return self.refuse(refusal)
        except (msgspec.MsgspecError, UnsafeJSON, RecursionError) as error:
            return self.refuse(
                CallRefused(BAD_REQUEST, f"the body is not what {method} takes: {explain(body, error)}", status=400)
            )
        except BrokerError as error:
            return self._errors.answer_failure(method, error)

    def start(self, method: str, body: bytes, answer: Answer) -> bool:
        """Carry out one call as `call` does, without a coroutine. False, and nothing is done, where that cannot be.

        It is for a publish that nothing is wrong with, over a broker of this process: nine calls of ten, for which the
        coroutines of `call` take 10 µs of 150 (benchmarks: push).

        Args:
            method: its name, as in the path.
            body: its JSON.
            answer: called with the HTTP status and the JSON to answer, in this step or in a later one.
        """
        storing, broker = _STORING.get(method), self._broker_now
        if storing is None or broker is None or len(body) > bounds.MOST_BYTES or not body.isascii():
            return False
        try:
            item = storing.item(self._publishing, storing.decode(body))
        except (CallRefused, msgspec.MsgspecError, UnsafeJSON, RecursionError):
            return False  # `call` says what is wrong
        if self._before_publishing((item,)) is not None:
            return False
        self._calls[method] += 1
        try:
            stored = broker.publish_now(item, partial(self._end, method, item.channel, answer))
        except BrokerError as error:
            answer(*self._errors.answer_failure(method, error))
            return True
        if stored is not None:
            answer(200, b'{"result":%b}' % _encode(make_receipt(item.channel, stored)))
        return True

    def _end(self, method: str, channel: str, answer: Answer, stored: Stored, error: BrokerError | None) -> None:
        """A publish that was started is stored, or not."""
        if error is None:
            answer(200, b'{"result":%b}' % _encode(make_receipt(channel, stored)))
        else:
            answer(*self._errors.answer_failure(method, error))

    def refuse(self, refusal: CallRefused) -> tuple[int, bytes]:
        """Return what a call is answered that is not carried out, and count it."""
        return self._errors.answer(refusal)

    @property
    def answered(self) -> Mapping[str, int]:
        """How many calls came, by method."""
        return self._calls

    @property
    def refused(self) -> Mapping[int, int]:
        """How many calls and parts of batches were refused, by error code."""
        return self._errors.counted

    async def _run(self, name: str, body: bytes | Raw) -> Any:
        storing = _STORING.get(name)
        if storing is not None:
            item = storing.item(self._publishing, storing.decode(body))
            return make_receipt(item.channel, (await self._publish([item]))[0])
        method = _METHODS.get(name)
        if method is None:
            raise CallRefused(METHOD_NOT_FOUND, f"there is no method {name!r}")
        return await method.run(self, method.decode(body))

    async def _batch(self, batch: calls.BatchCall) -> bytes:
        """Carry out calls in order; neighbours that only publish are stored together."""
        bounds.check_count(len(batch.commands), bounds.MOST_CALLS, "calls")
        replies: list[bytes] = [b""] * len(batch.commands)
        waiting: list[tuple[int, str, Item]] = []
        answered = 0  # bytes
        for index, command in enumerate(batch.commands):
            if index % bounds.SLICE == bounds.SLICE - 1:
                await self._store(waiting, replies)
                await self._pause()
            name, body = next(iter(command.items()), ("", Raw(b"{}")))
            try:
                storing = _STORING.get(name)
                if storing is not None:
                    waiting.append((index, name, storing.item(self._publishing, storing.decode(body))))
                    continue
                await self._store(waiting, replies)
                bounds.check_answers(answered)
                replies[index] = b'{"%b":%b}' % (name.encode(), _encode(await self._run(name, body)))
                answered += len(replies[index])
            except CallRefused as refusal:
                replies[index] = self._errors.encode(refusal)
            except (msgspec.MsgspecError, UnsafeJSON) as error:
                replies[index] = self._errors.encode(
                    CallRefused(BAD_REQUEST, f"not what {name} takes: {explain(bytes(body), error)}")
                )
        await self._store(waiting, replies)
        return b'{"replies":[%b]}' % b",".join(replies)

    async def _store(self, waiting: list[tuple[int, str, Item]], replies: list[bytes]) -> None:
        if not waiting:
            return
        stored = await self._publish([item for _, _, item in waiting])
        for (index, name, item), outcome in zip(waiting, stored, strict=True):
            replies[index] = b'{"%b":%b}' % (name.encode(), _encode(make_receipt(item.channel, outcome)))
        waiting.clear()

    def _publish(self, items: Sequence[Item]) -> Awaitable[list[Stored]]:
        wait = self._before_publishing(items)
        return self._broker.publish(items) if wait is None else self._publish_after(wait, items)

    async def _publish_after(self, wait: Awaitable[None], items: Sequence[Item]) -> list[Stored]:
        await wait
        return await self._broker.publish(items)

    async def _pause(self) -> None:
        if self._between is not None:
            await self._between()

    # Publishing to many

    async def _broadcast(self, call: calls.BroadcastCall) -> Any:
        if not call.channels:
            raise CallRefused(BAD_REQUEST, "there are no channels to publish into")
        bounds.check_count(len(call.channels), bounds.MOST_CHANNELS, "channels")
        responses: list[Any] = []
        for start in range(0, len(call.channels), bounds.SLICE):
            if start:
                await self._pause()
            responses += await self._broadcast_slice(call, call.channels[start : start + bounds.SLICE])
        return answers.BroadcastAnswer(responses)

    async def _broadcast_slice(self, call: calls.BroadcastCall, channels: Sequence[str]) -> list[Any]:
        responses: list[Any] = []
        items: list[Item] = []
        for channel in channels:
            try:
                items.append(self._publishing.publish(call, channel))
                responses.append(None)
            except CallRefused as refusal:
                if refusal.status != 200:
                    raise
                responses.append(answers.BroadcastPart(error=answers.CallError(refusal.code, str(refusal))))
        outcomes = iter(zip(items, await self._publish(items), strict=True))
        for index, response in enumerate(responses):
            if response is None:
                item, stored = next(outcomes)
                responses[index] = answers.BroadcastPart(make_receipt(item.channel, stored))
        return responses

    # About users

    async def _subscribe(self, call: calls.SubscribeCall) -> calls.Nothing:
        self._options(call.channel)
        overrides = {name: each.value for name, each in call.override.overrides().items()}
        options = SubscribeOptions(
            info=self._publishing.check_carried(call.info), data=self._publishing.check_carried(call.data), **overrides
        )
        return await self._tell(
            control.SubscribeUser(
                call.user, call.channel, call.client, options, call.recover_since, call.expire_at or None
            )
        )

    async def _unsubscribe(self, call: calls.UnsubscribeCall) -> calls.Nothing:
        bounds.check_names(call.channel)
        self._options(call.channel)
        return await self._tell(control.UnsubscribeUser(call.user, call.channel, call.client))

    async def _disconnect(self, call: calls.DisconnectCall) -> calls.Nothing:
        code = call.disconnect
        if not 3000 <= code.code <= 4999:
            raise CallRefused(BAD_REQUEST, "a disconnect code is between 3000 and 4999")
        return await self._tell(
            control.DisconnectUser(call.user, call.client, frozenset(call.whitelist), code.code, code.reason[:100])
        )

    async def _refresh(self, call: calls.RefreshCall) -> calls.Nothing:
        return await self._tell(control.RefreshUser(call.user, call.client, call.expired, call.expire_at or None))

    async def _revoke(self, call: calls.RevokeCall) -> calls.Nothing:
        check_user(call.user, EACH_USER)
        now = time.time()
        before = now if call.before is None else call.before
        if before > now + MARGIN / 2:
            raise CallRefused(BAD_REQUEST, "`before` is in the future: tokens made from now on cannot be revoked yet")
        bounds.check_revoked(call.token, call.channels)
        revocation = Revocation(call.user, before, call.token, call.channels)
        await self._broker.publish([Item(REVOKED, encode_revocation(revocation), self._revoked)])
        return calls.Nothing()

    async def _tell(self, message: control.Control) -> calls.Nothing:
        check_user(message.user, EACH_USER)
        bounds.check_names(message.client, getattr(message, "channel", ""))
        await self._broker.send_control(control.encode_control(message))
        return calls.Nothing()

    # About channels

    async def _presence(self, call: calls.ChannelCall) -> answers.PresenceAnswer:
        self._with_presence(call.channel)
        return answers.PresenceAnswer(await self._broker.read_presence(call.channel))

    async def _presence_stats(self, call: calls.ChannelCall) -> answers.PresenceStats:
        self._with_presence(call.channel)
        stats = await self._broker.count_presence(call.channel)
        return answers.PresenceStats(stats.clients, stats.users)

    def _online(self, call: calls.OnlineCall) -> Awaitable[answers.OnlineAnswer]:
        return find_online(self._broker, self._namespaces, self._pause, call)

    async def _history(self, call: calls.HistoryCall) -> answers.HistoryAnswer:
        self._with_history(call.channel)
        limit = bounds.MOST_HISTORY if call.limit < 0 else min(call.limit, bounds.MOST_HISTORY)
        since = call.since or None
        offset = since.offset if since else None
        page = await self._broker.read_page(call.channel, offset, limit, bounds.ANSWER_BYTES, reverse=call.reverse)
        epoch, top, tag = page.position
        if since is not None and since.epoch and since.epoch != epoch:
            raise CallRefused(UNRECOVERABLE)
        publications = chunk(page.publications, limit, bounds.ANSWER_BYTES)
        return answers.HistoryAnswer([view(publication) for publication in publications], epoch, top, tag)

    async def _history_remove(self, call: calls.ChannelCall) -> calls.Nothing:
        self._with_history(call.channel)
        await self._broker.remove_history(call.channel)
        return calls.Nothing()

    async def _channels(self, call: calls.ChannelsCall) -> answers.ChannelsAnswer:
        bounds.check_names(call.pattern)
        clients: Counter[str] = Counter()
        for answer in await self._broker.survey(b"channels\n" + call.pattern.encode()):
            clients.update(_decode_counts(answer))
            await self._pause()
        return answers.ChannelsAnswer({name: answers.ChannelFigures(count) for name, count in clients.items()})

    async def _info(self, call: calls.Nothing) -> answers.InfoAnswer:
        nodes = map(_decode_node, await self._broker.survey(b"info\n"))
        return answers.InfoAnswer(tuple(sorted(nodes, key=lambda node: node.name)))

    def _options(self, channel: str) -> NamespaceOptions:
        return find_options(self._namespaces, channel)

    def _with_presence(self, channel: str) -> None:
        if not self._options(channel).presence:
            raise CallRefused(NOT_AVAILABLE, f"presence is off in {channel!r}: set `presence` for its namespace")

    def _with_history(self, channel: str) -> None:
        if not self._options(channel).keeps_history:
            raise CallRefused(NOT_AVAILABLE, f"{channel!r} keeps no history: set history_size and history_ttl")


def _make_decoder(method: str) -> Callable[[bytes | Raw], Any]:
    return msgspec.json.Decoder(METHODS[method].takes).decode


_STORING = {
    "publish": _Publishing(_make_decoder("publish"), lambda make, call: make.publish(call, call.channel)),
    "push": _Publishing(_make_decoder("push"), Publishing.push),
    "broadcast_push": _Publishing(_make_decoder("broadcast_push"), Publishing.broadcast_push),
}
_METHODS = {
    name: _Method(_make_decoder(name), getattr(Api, f"_{name}"))
    for name in METHODS
    if name != "batch" and name not in _STORING
}
