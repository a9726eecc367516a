"""Questions of hooks as events, the same in this process and elsewhere, and what was decided as answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from messageflow.errors import Refuse
from messageflow.gateway.hook_events import HOOK_EVENTS
from messageflow.hub.hooks import (
    ANSWERS,
    KINDS,
    AuthorizeQuestion,
    ChannelNotice,
    ClientEvent,
    ClientView,
    ConnectQuestion,
    DisconnectNotice,
    PublishQuestion,
    RefreshQuestion,
    RpcQuestion,
)

CLIENT = ClientView("alice", "c1", "10.0.0.1", b'{"name":"A"}', {"cookie": "x"})
QUESTIONS: dict[str, Any] = {
    "event": ClientEvent(CLIENT, b'{"type":"city","payload":{"name":"Bonn"}}'),
    "rpc": RpcQuestion(CLIENT, "search", b"[1]"),
    "connect": ConnectQuestion(CLIENT),
    "authorize": AuthorizeQuestion(CLIENT, "news:x", "subscribe", allowed=False),
    "publish": PublishQuestion(CLIENT, "news:x", b'"hello"'),
    "refresh": RefreshQuestion(CLIENT),
    "disconnect": DisconnectNotice(CLIENT, 3001, "shutdown"),
    "occupied": ChannelNotice("news:x"),
    "vacated": ChannelNotice("news:x"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_travels_is_the_event_of_a_handler_here(kind: str) -> None:
    told = HOOK_EVENTS[kind].tell(QUESTIONS[kind])
    here, elsewhere = told.decode_event(), told.carry_event()
    assert msgspec.json.decode(msgspec.json.encode(elsewhere), type=type(here)) == msgspec.structs.replace(
        here, headers=dict(here.headers)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_decided_elsewhere_is_the_answer_without_a_field(kind: str) -> None:
    assert HOOK_EVENTS[kind].read(msgspec.Raw(b"null")) in (ANSWERS[kind](), ANSWERS["rpc"](b"null"))


def test_what_has_no_name_is_no_event() -> None:
    with pytest.raises(Refuse):
        HOOK_EVENTS["event"].tell(ClientEvent(CLIENT, b'{"payload":1}'))
