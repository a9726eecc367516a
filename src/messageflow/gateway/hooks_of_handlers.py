"""The handlers of flows as hooks, in the gateway's own process: questions become events, what is decided answers.

A handler that is written while the gateway serves, as in a module that is imported late, is asked from then on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from messageflow.core.codes import BAD_REQUEST
from messageflow.errors import Refuse
from messageflow.handlers import decisions
from messageflow.handlers.decisions import Steps
from messageflow.handlers.event import Event
from messageflow.handlers.function_threads import FunctionThreads, is_coroutine_function
from messageflow.handlers.registry import Handler, Handlers, Kind
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hooks import (
    HANDLER,
    AuthorizeAnswer,
    AuthorizeQuestion,
    ChannelNotice,
    ClientEvent,
    ClientView,
    ConnectAnswer,
    ConnectQuestion,
    DisconnectNotice,
    PublishAnswer,
    PublishQuestion,
    RpcAnswer,
    RpcQuestion,
)


def serve_handlers(hooks: HookCalls, handlers: Handlers, concurrency: int) -> None:
    """Let handlers be asked.

    Args:
        hooks: of the hub.
        handlers: whom to ask, also of kinds of which there is none yet.
        concurrency: calls of plain functions of one kind at once.

    Raises:
        ConfigurationError: two handlers have one name, or the application decides in two ways.
    """
    made: set[Kind] = set()
    maker = HandlerHooks(handlers, concurrency)

    def add(kind: Kind) -> None:
        if kind not in made:
            hooks.add(kind, maker.make(kind))
            made.add(kind)

    handlers.serve(add)
    for kind in handlers.kinds:
        add(kind)


class HandlerHooks:
    """A hook for each kind of handler.

    Args:
        handlers: whom to ask.
        concurrency: calls of plain functions of one kind at once.
    """

    def __init__(self, handlers: Handlers, concurrency: int) -> None:
        self._handlers = handlers
        self._concurrency = concurrency
        self._threads: dict[Kind, FunctionThreads] = {}

    def make(self, kind: Kind) -> Callable[[Any], Awaitable[Any]]:
        """Return the hook of a kind."""
        hook: Callable[[Any], Awaitable[Any]] = getattr(self, kind)
        return hook

    async def event(self, question: ClientEvent) -> None:
        """Let a handler take what a page sent: `{"type": name, "payload": data}`."""
        sent = question.value
        name = sent.get("type") if isinstance(sent, dict) else None
        if not isinstance(name, str):
            raise Refuse(BAD_REQUEST.code, 'what handlers take is {"type": "a name", "payload": data}')
        await self._carry_out(decisions.take, _event(question.client, name, sent.get("payload")))

    async def rpc(self, question: RpcQuestion) -> RpcAnswer:
        """Let a handler answer a call."""
        event = _event(question.client, question.method, question.value)
        return RpcAnswer(await self._carry_out(decisions.answer, event))

    async def connect(self, question: ConnectQuestion) -> ConnectAnswer:
        """Let handlers see who connects."""
        said = await self._carry_out(decisions.welcome, _event(question.client, "connect", question.value))
        return msgspec.convert(said, ConnectAnswer, builtin_types=(bytes,))

    async def disconnect(self, notice: DisconnectNotice) -> None:
        """Let handlers know who has gone."""
        event = _event(notice.client, "disconnect", code=notice.code, reason=notice.reason)
        await self._carry_out(partial(decisions.tell, "disconnect"), event)

    async def authorize(self, question: AuthorizeQuestion) -> AuthorizeAnswer:
        """Let handlers say who may do what."""
        event = _event(question.client, "authorize", channel=question.channel, verb=question.verb)
        return AuthorizeAnswer(await self._carry_out(decisions.permit, event))

    async def publish(self, question: PublishQuestion) -> PublishAnswer:
        """Let handlers see, change or refuse what a client publishes."""
        event = _event(question.client, "publish", question.value, channel=question.channel)
        return PublishAnswer(await self._carry_out(decisions.edit, event))

    async def occupied(self, notice: ChannelNotice) -> None:
        """Let handlers know of a channel's first subscriber."""
        event = Event(name="occupied", channel=notice.channel)
        await self._carry_out(partial(decisions.tell, "occupied"), event)

    async def vacated(self, notice: ChannelNotice) -> None:
        """Let handlers know that a channel has lost its last subscriber."""
        event = Event(name="vacated", channel=notice.channel)
        await self._carry_out(partial(decisions.tell, "vacated"), event)

    async def _carry_out(self, decide: Callable[[Handlers, Event], Steps], event: Event) -> Any:
        return await decisions.carry_out(decide(self._handlers, event), self._call)

    def _call(self, handler: Handler, event: Event) -> Awaitable[Any]:
        HANDLER.set(handler.place)
        if is_coroutine_function(handler.function):
            awaitable: Awaitable[Any] = handler.function(event)
            return awaitable
        threads = self._threads.get(handler.kind)
        if threads is None:
            threads = self._threads[handler.kind] = FunctionThreads(f"{handler.kind}-handler", self._concurrency)
        return threads.call(handler.function, event)


def _event(client: ClientView, name: str, data: Any = None, **more: Any) -> Event:
    info = msgspec.json.decode(client.info) if client.info else None
    return Event(
        name=name,
        data=data,
        user=client.user,
        client=client.client,
        headers=client.headers,
        address=client.address,
        info=info,
        **more,
    )
