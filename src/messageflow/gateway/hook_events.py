"""Hooks as handlers see them: what event each kind of question becomes, and what answer is made of what was decided.

The one table of both ways to handlers: in the gateway's process (`gateway.hooks_of_handlers`) and of an application
elsewhere (`gateway.hooks_webhook`). A new kind of hook that handlers serve is a line here.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from messageflow.core.codes import BAD_REQUEST
from messageflow.core.handshake_headers import NO_HEADERS
from messageflow.errors import Refuse
from messageflow.handlers.event import Event
from messageflow.hub.hooks import (
    AuthorizeAnswer,
    ChannelNotice,
    ClientEvent,
    ClientView,
    ConnectAnswer,
    PublishAnswer,
    RefreshAnswer,
    RpcAnswer,
)

_NULL = Raw(b"null")


class EventFields(NamedTuple):
    """What handlers are told of a question.

    Args:
        name: of the event.
        client: who asks; None where it is about no client.
        data: JSON, empty for none.
        more: other fields of the event.
    """

    name: str
    client: ClientView | None = None
    data: bytes = b""
    more: Mapping[str, Any] = {}

    @property
    def channel(self) -> str:
        """Which channel it is about, empty for none."""
        channel: str = self.more.get("channel", "")
        return channel

    def decode_event(self) -> Event:
        """Return the event of a handler in this process, its JSON decoded."""
        client = self.client
        return self._make_event(_decode, NO_HEADERS if client is None else client.headers)

    def carry_event(self) -> Event:
        """Return the event of a handler elsewhere, its JSON as it came."""
        client = self.client
        return self._make_event(_carry, {} if client is None else dict(client.headers))

    def _make_event(self, read: Callable[[bytes], Any], headers: Mapping[str, str]) -> Event:
        client, data = self.client, read(self.data)
        if client is None:
            return Event(name=self.name, data=data, headers=headers, **self.more)
        return Event(
            name=self.name,
            data=data,
            user=client.user,
            client=client.client,
            headers=headers,
            address=client.address,
            info=read(client.info),
            **self.more,
        )


class HookEvent(NamedTuple):
    """A kind of hook, as handlers serve it.

    Args:
        tell: returns what handlers are told of a question.
        answer: makes the answer of what a decision in this process comes to (`handlers.decisions`).
        read: makes the answer of what one elsewhere comes to, as JSON.
        is_repeatable: whether an application elsewhere may be asked again where its answer was lost.
    """

    tell: Callable[[Any], EventFields]
    answer: Callable[[Any], Any] = lambda decided: None
    read: Callable[[Raw], Any] = lambda result: None
    is_repeatable: bool = False


class _Sent(Struct, frozen=True):
    """What handlers take of what a page sends."""

    type: str
    payload: Raw = _NULL


class _Welcome(Struct, frozen=True):
    user: str | None = None
    expires_at: float | None = None
    info: Raw = _NULL  # msgspec takes no union with Raw
    data: Raw = _NULL
    channels: tuple[str, ...] | None = None
    allow: tuple[str, ...] | None = None


class _Replacement(Struct, frozen=True):
    data: Raw


def _tell_sent(question: ClientEvent) -> EventFields:
    try:
        sent = msgspec.json.decode(question.data, type=_Sent)
    except msgspec.MsgspecError:
        raise Refuse(BAD_REQUEST.code, 'what handlers take is {"type": "a name", "payload": data}') from None
    return EventFields(sent.type, question.client, bytes(sent.payload))


def _tell_of_channel(name: str) -> Callable[[ChannelNotice], EventFields]:
    return lambda notice: EventFields(name, more={"channel": notice.channel})


def _read_welcome(result: Raw) -> ConnectAnswer:
    said = msgspec.json.decode(result, type=_Welcome | None)
    if said is None:
        return ConnectAnswer()
    return ConnectAnswer(
        user=said.user,
        expires_at=said.expires_at,
        info=_find_json(said.info),
        data=_find_json(said.data),
        channels=said.channels or (),
        allow=said.allow or (),
    )


def _read_replacement(result: Raw) -> PublishAnswer:
    said = msgspec.json.decode(result, type=_Replacement | None)
    return PublishAnswer(None if said is None else bytes(said.data))


def _read_refreshed(result: Raw) -> RefreshAnswer:
    said = msgspec.json.decode(result, type=_Welcome | None)
    if said is None:
        return RefreshAnswer()
    return RefreshAnswer(expires_at=said.expires_at, info=_find_json(said.info))


def _find_json(said: Raw) -> bytes | None:
    """Return JSON, None where it is null: nothing was said."""
    data = bytes(said)
    return None if data == b"null" else data


def _decode(data: bytes) -> Any:
    return msgspec.json.decode(data) if data else None


def _carry(data: bytes) -> Raw | None:
    return Raw(data) if data else None


HOOK_EVENTS = {
    "event": HookEvent(_tell_sent),
    "rpc": HookEvent(
        lambda question: EventFields(question.method, question.client, question.data),
        RpcAnswer,
        lambda result: RpcAnswer(bytes(result)),
    ),
    "connect": HookEvent(
        lambda question: EventFields("connect", question.client, question.data),
        lambda welcome: msgspec.convert(welcome, ConnectAnswer, builtin_types=(bytes,)),
        _read_welcome,
        is_repeatable=True,
    ),
    "authorize": HookEvent(
        lambda question: EventFields(
            "authorize", question.client, more={"channel": question.channel, "verb": question.verb}
        ),
        AuthorizeAnswer,
        lambda result: AuthorizeAnswer(msgspec.json.decode(result, type=bool | None)),
        is_repeatable=True,
    ),
    "publish": HookEvent(
        lambda question: EventFields("publish", question.client, question.data, {"channel": question.channel}),
        PublishAnswer,
        _read_replacement,
    ),
    "refresh": HookEvent(
        lambda question: EventFields("refresh", question.client), read=_read_refreshed, is_repeatable=True
    ),
    "disconnect": HookEvent(
        lambda notice: EventFields("disconnect", notice.client, more={"code": notice.code, "reason": notice.reason}),
        is_repeatable=True,
    ),
    "occupied": HookEvent(_tell_of_channel("occupied")),
    "vacated": HookEvent(_tell_of_channel("vacated")),
}
"""Every kind of hook. Those with a decorator have a decision as well, in `handlers.decisions`."""
