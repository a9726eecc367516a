"""The server API: what a backend may ask, as method and JSON in, status and JSON out.

The caller has checked the key: the HTTP routes and the in-process path of `messageflow run` through
`gateway.worker_api`, a flow that reaches its broker without a gateway through `redis_publisher`. A call that is refused
is answered with status 200 and an error, as the protocol has it; only what a proxy or a client library should see as a
failure has a status of its own.

Source: docs/http-api.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from messageflow.api import answers, bounds, calls
from messageflow.api.call_errors import CallErrors
from messageflow.api.control_calls import ControlCalls, Messenger
from messageflow.api.methods import METHODS, READING, STORE_ONE, USERS
from messageflow.api.publishing import CallRefused, Publishing, make_receipt
from messageflow.api.reading_calls import ReadingBroker, ReadingCalls
from messageflow.brokers.base import ImmediateStore, Stored
from messageflow.core.codes import BAD_REQUEST, METHOD_NOT_FOUND
from messageflow.core.json import UnsafeJSON, check_utf8, drop_nulls, explain
from messageflow.core.namespaces import Namespaces
from messageflow.core.revocations import UNLIMITED
from messageflow.core.stream import Item
from messageflow.errors import BrokerError

Answer = Callable[[int, bytes], None]
"""Takes the HTTP status and the JSON to answer."""

_NOTHING = ("", Raw(b"{}"))
_encode = msgspec.json.Encoder().encode
_decode_batch = msgspec.json.Decoder(calls.BatchCall).decode


class ApiBroker(ReadingBroker, Messenger, Protocol):
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
        before_publishing: returns in what parts items are to be stored, each once it comes; None for all at once.
        between: lets others have their turn between two slices of a large call; None where there are no others.
    """

    def __init__(
        self,
        broker: ApiBroker,
        namespaces: Namespaces,
        size_limit: int,
        on_failure: Callable[[str, BrokerError], None] = lambda method, error: None,
        revoked_for: float = UNLIMITED,
        before_publishing: Callable[[Sequence[Item]], AsyncIterator[Sequence[Item]] | None] = lambda items: None,
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._broker = broker
        self._broker_now = broker if isinstance(broker, ImmediateStore) else None
        self._pause = between or _go_on
        self._size_limit = size_limit
        self._publishing = Publishing(namespaces, size_limit)
        self._control_calls = ControlCalls(broker, namespaces, self._publishing.check_carried, revoked_for)
        self._reading_calls = ReadingCalls(broker, namespaces, self._pause)
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
                return 200, await self._batch(_read_batch(body or b"{}"))
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

    async def _batch(self, commands: Sequence[_BatchedPush | dict[str, Raw]]) -> bytes:
        """Carry out calls in order; neighbours that only publish are stored together."""
        bounds.check_count(len(commands), bounds.MOST_CALLS, "calls")
        replies: list[Any] = [None] * len(commands)
        waiting: list[tuple[int, str, Item]] = []
        answered = 0  # bytes
        for index, command in enumerate(commands):
            if index % bounds.SLICE == bounds.SLICE - 1:
                await self._store(waiting, replies)
                await self._pause()
            name, body = "push", b""  # of one that is decoded: what may still be wrong with it says so by itself
            try:
                if isinstance(command, _BatchedPush):
                    waiting.append((index, "push", self._publishing.push(command.push)))
                    continue
                name, body = next(iter(command.items()), _NOTHING)
                storing = _STORING.get(name)
                if storing is not None:
                    waiting.append((index, name, storing.item(self._publishing, storing.decode(body))))
                    continue
                await self._store(waiting, replies)
                bounds.check_answers(answered)
                answer = _encode(await self._run(name, body))
                replies[index] = {name: Raw(answer)}
                answered += len(answer)
            except CallRefused as refusal:
                replies[index] = Raw(self._errors.encode(refusal))
            except (msgspec.MsgspecError, UnsafeJSON) as error:
                wrong = CallRefused(BAD_REQUEST, f"not what {name} takes: {explain(bytes(body), error)}")
                replies[index] = Raw(self._errors.encode(wrong))
        await self._store(waiting, replies)
        return _encode({"replies": replies})

    async def _store(self, waiting: list[tuple[int, str, Item]], replies: list[Any]) -> None:
        if not waiting:
            return
        stored = await self._publish([item for _, _, item in waiting])
        for (index, name, item), outcome in zip(waiting, stored, strict=True):
            replies[index] = {name: make_receipt(item.channel, outcome)}
        waiting.clear()

    def _publish(self, items: Sequence[Item]) -> Awaitable[list[Stored]]:
        parts = self._before_publishing(items)
        return self._broker.publish(items) if parts is None else self._publish_in(parts)

    async def _publish_in(self, parts: AsyncIterator[Sequence[Item]]) -> list[Stored]:
        stored: list[Stored] = []
        async for part in parts:
            stored += await self._broker.publish(part)
        return stored

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


class _BatchedPush(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A push as a call of a batch."""

    push: calls.PushCall


class _BatchOfPushes(msgspec.Struct, frozen=True):
    """A `BatchCall` that does nothing but push."""

    commands: list[_BatchedPush]
    parallel: bool = False


_decode_pushes = msgspec.json.Decoder(_BatchOfPushes).decode


def _read_batch(body: bytes) -> Sequence[_BatchedPush | dict[str, Raw]]:
    """Return the calls of a batch; where all are pushes, as in most, they are decoded at once.

    That saves 0.4 of the 12 µs that a push in a batch costs (benchmarks: push).
    """
    try:
        return _decode_pushes(body).commands
    except msgspec.MsgspecError:
        return _decode_batch(body).commands


async def _go_on() -> None:
    """Let nobody have a turn, where there is nobody else."""


def _make_decoder(method: str) -> Callable[[bytes | Raw], Any]:
    decode = msgspec.json.Decoder(METHODS[method].takes).decode

    def decode_what_is_there(body: bytes | Raw) -> Any:
        try:
            return decode(body)
        except msgspec.MsgspecError:
            return decode(drop_nulls(bytes(body)))

    return decode_what_is_there


def _list_methods(section: str, kind: type[Any], find: Callable[[Api], Any]) -> dict[str, _Method]:
    """Return the methods of a section, each of which a part of the API carries out by its name."""

    def carry_out_by(name: str) -> Callable[[Api, Any], Awaitable[Any]]:
        method = getattr(kind, name)
        return lambda api, call: method(find(api), call)

    names = (name for name, method in METHODS.items() if method.section == section)
    return {name: _Method(_make_decoder(name), carry_out_by(name)) for name in names}


_ITEMS: dict[str, Callable[[Publishing, Any], Item]] = {
    "publish": lambda make, call: make.publish(call, call.channel),
    "push": Publishing.push,
    "broadcast_push": Publishing.broadcast_push,
}
_STORING = {name: _Publishing(_make_decoder(name), _ITEMS[name]) for name in STORE_ONE}
_METHODS = {
    "broadcast": _Method(_make_decoder("broadcast"), Api._broadcast),
    **_list_methods(READING, ReadingCalls, attrgetter("_reading_calls")),
    **_list_methods(USERS, ControlCalls, attrgetter("_control_calls")),
}
