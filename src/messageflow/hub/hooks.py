"""What an application may decide: the contract of its hooks.

The gateway asks, the application answers; each kind of question is asked in one place. The comments are obligations of
those who bring the hooks: in the gateway's process (`gateway.hooks_in_process`) or from anywhere else. A hook is a
coroutine function from a question to an answer. It refuses by raising `Refuse`, whose code the client gets.
Anything else it raises, and a time limit that passes, is a failure of the application; what happens then stands with
each kind. How long a hook may take and how many may run at once is for `hub.hook_calls` to see to.

All JSON travels as bytes, checked before a hook sees it and after it answers.

A new kind is declared here: its question, its answer, a field of `Hooks`, its name in `OUTLIVING` where its calls
outlive the sessions, in `NOTICES` where nobody waits, and in `REPEATABLE` where it does no harm to ask twice. Beyond
that it takes an attribute of `hub.hook_calls.HookCalls` and the place that asks: three files. What handlers are told,
in this process or elsewhere, follows from the question (`gateway.hook_events`).
Where flows have a decorator for it: three more, a word of `Kind` in `handlers.registry`, a method of
`handlers.decorators`, and a line in `DECISIONS` of `handlers.decisions`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import Struct

from messageflow.core.handshake_headers import NO_HEADERS
from messageflow.core.token_rights import Verb

HANDLER: ContextVar[str] = ContextVar("handler", default="")
"""Which function of the application a hook is calling, set by the hook: for the log, where it fails or hangs."""


class ApplicationAway(Exception):
    """Raised by a hook whose application cannot be asked now. Who found that out has logged it, once for all calls."""


class AnswerLost(Exception):
    """Raised by a hook whose application has got the question and may have carried it out; the client is told 113."""


class ClientView(Struct, frozen=True):
    """Who asks.

    Args:
        user: as their token has it; empty for somebody without a name.
        client: the id of the connection.
        address: of their end, as far as trusted proxies tell.
        info: JSON that others see beside the user, empty for none.
        headers: of their handshake, those that `hook_headers` names, in lower case.
    """

    user: str
    client: str
    address: str
    info: bytes = b""
    headers: Mapping[str, str] = NO_HEADERS


class ConnectQuestion(Struct, frozen=True):
    """A connection wants to come in. Its token, if it has one, was believed.

    When the hook fails, the connection ends with 3004 and comes back.

    Args:
        client: who; `user` is empty where there was no token.
        data: JSON the page gave to its connect, empty for none.
        name: what the page calls itself.
        version: of itself.
        expires_at: when the token's time is over, in seconds since 1970; None for never.
    """

    client: ClientView
    data: bytes = b""
    name: str = ""
    version: str = ""
    expires_at: float | None = None

    @property
    def value(self) -> Any:
        """What the page gave, decoded."""
        return msgspec.json.decode(self.data) if self.data else None


class ConnectAnswer(Struct, frozen=True, kw_only=True):
    """It may. What is None stays as the token says.

    Args:
        user: who it is, for a connection without a token; a token's user cannot be changed.
        expires_at: when it ends unless refreshed, in seconds since 1970.
        info: JSON that others see beside the user.
        data: JSON for the page, in the answer to its connect.
        channels: that it is subscribed to, beside those of the token.
        allow: what it may do in channels, beside what its token allows and in the words of one (`core.token_rights`);
            it stays for as long as the connection does.
    """

    user: str | None = None
    expires_at: float | None = None
    info: bytes | None = None
    data: bytes | None = None
    channels: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


class DisconnectNotice(Struct, frozen=True):
    """A connection that was in has ended. There is nothing to answer, and a failure changes nothing.

    Args:
        client: whose.
        code: why the gateway ended it, as a close code; 0 where it did not.
        reason: the same in words.
    """

    client: ClientView
    code: int = 0
    reason: str = ""


class AuthorizeQuestion(Struct, frozen=True):
    """A client wants to do something in a channel that is no user's own. Where a token allows it, nobody is asked.

    When the hook fails, the client gets error 100, which may be tried again.

    Args:
        client: who.
        channel: where; its namespace exists.
        verb: what.
        allowed: what the options of the namespace say.
    """

    client: ClientView
    channel: str
    verb: Verb
    allowed: bool


class AuthorizeAnswer(Struct, frozen=True):
    """Whether it may; None leaves it to the options of the namespace."""

    allowed: bool | None = None


class PublishQuestion(Struct, frozen=True):
    """A client that may publish in a channel does. When the hook fails, the client gets error 100.

    Args:
        client: who.
        channel: where.
        data: JSON.
    """

    client: ClientView
    channel: str
    data: bytes

    @property
    def value(self) -> Any:
        """The data, decoded."""
        return msgspec.json.decode(self.data)


class PublishAnswer(Struct, frozen=True):
    """It is published: `data` in place of what the client sent, None as it is."""

    data: bytes | None = None


class RpcQuestion(Struct, frozen=True):
    """A client calls the application. When the hook fails, the client gets error 100.

    Args:
        client: who.
        method: what it calls, as the page says.
        data: JSON, empty for none.
    """

    client: ClientView
    method: str
    data: bytes = b""

    @property
    def value(self) -> Any:
        """The data, decoded."""
        return msgspec.json.decode(self.data) if self.data else None


class RpcAnswer(Struct, frozen=True):
    """What the call gives: JSON, empty for null."""

    data: bytes = b""


class ClientEvent(Struct, frozen=True):
    """A client tells the application something, and gets no answer; when the hook fails, it is lost and counted.

    Args:
        client: who.
        data: JSON, empty for none.
    """

    client: ClientView
    data: bytes = b""

    @property
    def value(self) -> Any:
        """The data, decoded."""
        return msgspec.json.decode(self.data) if self.data else None


class ChannelNotice(Struct, frozen=True):
    """A channel has its first subscriber on any node, or has lost its last. There is nothing to answer.

    Args:
        channel: which; none that is the server's own.
    """

    channel: str


class RefreshQuestion(Struct, frozen=True):
    """A client shows a newer token, which was believed. When the hook fails, it gets error 100 and tries again.

    Args:
        client: who.
        expires_at: when the new token's time is over, in seconds since 1970; None for never.
    """

    client: ClientView
    expires_at: float | None = None


class RefreshAnswer(Struct, frozen=True, kw_only=True):
    """It may stay. What is None stays as the token says.

    Args:
        expires_at: when the connection ends unless refreshed again, in seconds since 1970.
        info: JSON that others see beside the user from now on.
    """

    expires_at: float | None = None
    info: bytes | None = None


class Hooks(NamedTuple):
    """The hooks of an application. Of a kind that is None nobody is asked, and it costs nothing.

    Args:
        connect: lets connections in, and says who they are.
        disconnect: is told who has gone.
        authorize: allows or refuses a verb in a channel.
        publish: sees what clients publish.
        rpc: answers calls of clients.
        event: takes what clients send without waiting for an answer.
        refresh: lets connections stay.
        occupied: is told which channels have a subscriber now.
        vacated: is told which have none any more.
    """

    connect: Callable[[ConnectQuestion], Awaitable[ConnectAnswer]] | None = None
    disconnect: Callable[[DisconnectNotice], Awaitable[None]] | None = None
    authorize: Callable[[AuthorizeQuestion], Awaitable[AuthorizeAnswer]] | None = None
    publish: Callable[[PublishQuestion], Awaitable[PublishAnswer]] | None = None
    rpc: Callable[[RpcQuestion], Awaitable[RpcAnswer]] | None = None
    event: Callable[[ClientEvent], Awaitable[None]] | None = None
    refresh: Callable[[RefreshQuestion], Awaitable[RefreshAnswer]] | None = None
    occupied: Callable[[ChannelNotice], Awaitable[None]] | None = None
    vacated: Callable[[ChannelNotice], Awaitable[None]] | None = None


KINDS = Hooks._fields

OUTLIVING = frozenset({"connect", "disconnect", "event", "occupied", "vacated"})
"""Kinds whose calls the end of the gateway does not cut: they tell of an end, or go on to it. Each ends by itself."""

NOTICES = frozenset({"disconnect", "occupied", "vacated"})
"""Kinds that nobody waits for: their time begins when they are called, and not in the line before that."""


REPEATABLE = frozenset({"connect", "authorize", "refresh", "disconnect"})
"""Kinds of which an application elsewhere may be asked again where its answer was lost."""


def _find_shapes(hint: Any) -> tuple[type[Any], type[Any]]:
    """Return what a coroutine function takes and answers, by the annotation of its field."""
    function, _ = get_args(hint)
    (question,), awaitable = get_args(function)
    (answer,) = get_args(awaitable)
    return question, type(None) if answer is None else answer


_SHAPES = {kind: _find_shapes(hint) for kind, hint in get_type_hints(Hooks).items()}
QUESTIONS = {kind: question for kind, (question, _) in _SHAPES.items()}
"""What a hook of each kind is asked."""

ANSWERS = {kind: answer for kind, (_, answer) in _SHAPES.items()}
"""What a hook of each kind answers; a decision that says nothing more is the answer without a field."""


def name_task(kind: str) -> str:
    """Return what tasks are called that ask a hook of this kind."""
    return f"{kind} hook"
