"""Hooks as handlers see them: what event each kind of question becomes, and what answer is made of what was decided.

The one table of both ways to handlers: in the gateway's process (`gateway.hooks_of_handlers`) and of an application
elsewhere (`gateway.hooks_webhook`). A new kind of hook takes nothing here, unless it is told or answered in another way
than its question and its answer in `hub.hooks` say.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Raw, Struct

from messageflow.core.codes import BAD_REQUEST
from messageflow.core.handshake_headers import NO_HEADERS
from messageflow.errors import Refuse
from messageflow.handlers.event import Event
from messageflow.hub.hooks import (
    ANSWERS,
    KINDS,
    QUESTIONS,
    ClientEvent,
    ClientView,
    ConnectAnswer,
    PublishAnswer,
    RefreshAnswer,
    RpcAnswer,
)

_NULL = Raw(b"null")
_OF_A_CLIENT = {"name", "data", "user", "client", "headers", "address", "info"}
_TOLD = frozenset(Event.__struct_fields__) - _OF_A_CLIENT


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
    """

    tell: Callable[[Any], EventFields]
    answer: Callable[[Any], Any]
    read: Callable[[Raw], Any]


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


def _tell_fields(kind: str) -> Callable[[Any], EventFields]:
    """Return what tells the client, the data and those fields of a question that `Event` has too."""
    fields = QUESTIONS[kind].__struct_fields__
    told = tuple([name for name in fields if name in _TOLD])
    by_client, has_data = "client" in fields, "data" in fields

    def tell(question: Any) -> EventFields:
        return EventFields(
            kind,
            question.client if by_client else None,
            question.data if has_data else b"",
            {name: getattr(question, name) for name in told},
        )

    return tell


def _read_field(kind: str) -> Callable[[Raw], Any]:
    """Return what reads an answer that is its one field, or nothing."""
    answer = ANSWERS[kind]
    if answer is type(None):
        return lambda result: None
    (field,) = get_type_hints(answer).values()
    return lambda result: answer(msgspec.json.decode(result, type=field))


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


def _make_hook_event(
    kind: str,
    tell: Callable[[Any], EventFields] | None = None,
    answer: Callable[[Any], Any] | None = None,
    read: Callable[[Raw], Any] | None = None,
) -> HookEvent:
    decided: Any = ANSWERS[kind]
    return HookEvent(
        tell or _tell_fields(kind),
        answer or ((lambda _: None) if decided is type(None) else decided),
        read or _read_field(kind),
    )


_SPECIAL: dict[str, dict[str, Callable[[Any], Any]]] = {
    "event": {"tell": _tell_sent},
    "rpc": {
        "tell": lambda question: EventFields(question.method, question.client, question.data),
        "read": lambda result: RpcAnswer(bytes(result)),
    },
    "connect": {
        "answer": lambda welcome: msgspec.convert(welcome, ConnectAnswer, builtin_types=(bytes,)),
        "read": _read_welcome,
    },
    "publish": {"read": _read_replacement},
    "refresh": {"read": _read_refreshed},
}

HOOK_EVENTS = {kind: _make_hook_event(kind, **_SPECIAL.get(kind, {})) for kind in KINDS}
"""Every kind of hook. Those with a decorator have a decision as well, in `handlers.decisions`."""
