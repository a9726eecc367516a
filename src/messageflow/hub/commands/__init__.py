"""The commands of a client, one module a kind. Each handler answers for itself or raises the refusal."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from messageflow.core.codes import BAD_REQUEST, MALFORMED, CommandRefused, Disconnected
from messageflow.core.protocol import Command, FaultyCommand
from messageflow.hub.commands.connect import connect
from messageflow.hub.commands.publish import publish
from messageflow.hub.commands.read import history, presence, presence_stats
from messageflow.hub.commands.refresh import refresh
from messageflow.hub.commands.rpc import ping, rpc
from messageflow.hub.commands.send import send
from messageflow.hub.commands.subscribe import sub_refresh, subscribe, unsubscribe
from messageflow.hub.services import Services
from messageflow.hub.session import Session
from messageflow.hub.session_state import State

_NEW, _CONNECTED = State.NEW, State.CONNECTED

Handler = Callable[[Services, Session, int, Any], Awaitable[None]]

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


def carry_out(services: Services, session: Session, command: Command | FaultyCommand) -> Awaitable[None]:
    """Return what carries out one command.

    Raises:
        CommandRefused: it is answered with an error.
        Disconnected: it ends the connection.
    """
    methods = command.methods
    if len(methods) != 1 or (not command.id and methods[0] != "send"):
        raise Disconnected(MALFORMED, "a command needs an id and one known method")
    method = methods[0]
    expected = _NEW if method == "connect" else _CONNECTED
    if session.state is not expected:
        raise Disconnected(MALFORMED, f"{method} while {session.state.name.lower()}")
    if isinstance(command, FaultyCommand):
        if method == "connect":
            raise Disconnected(MALFORMED, command.reason)  # a connection that is not in yet is forgiven nothing
        services.runtime.log_limited(logging.WARNING, "command_not_taken", client=session.client, reason=command.reason)
        raise CommandRefused(BAD_REQUEST, command.reason)
    services.runtime.counters.commands[method] += 1
    return HANDLERS[method](services, session, command.id, getattr(command, method))
