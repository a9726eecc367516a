"""The commands of a client, one module a kind. Each handler answers for itself or raises the refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from messageflow.hub.commands.connect import connect, refresh
from messageflow.hub.commands.publish import ping, publish, rpc, send
from messageflow.hub.commands.read import history, presence, presence_stats
from messageflow.hub.commands.subscribe import sub_refresh, subscribe, unsubscribe

if TYPE_CHECKING:
    from messageflow.hub.session import Session

Handler = Callable[["Session", int, Any], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    "connect": connect,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "presence": presence,
    "presence_stats": presence_stats,
    "history": history,
    "ping": ping,
    "send": send,
    "rpc": rpc,
    "refresh": refresh,
    "sub_refresh": sub_refresh,
}
