"""How what an ancestor's backend pushes is sent: over their bus where one is configured, else as `flow.later` does."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

import messageflow
from messageflow.compat.zeromq_bus import find_bus
from messageflow.publisher.arguments import EVERYONE, User, read_type, read_user
from messageflow.publisher.encoding import encode


class ActionSender:
    """Sends actions, and returns at once. Made anew wherever a `Flow` is.

    Raises:
        ConfigurationError: there is no gateway to be found, or no library of ZeroMQ where its bus is configured.
    """

    def __init__(self) -> None:
        self._bus = find_bus()
        self._later = messageflow.Flow().later if self._bus is None else None

    def send(self, user: User, action_type: str, payload: Any) -> None:
        """Send an action to a user, or to everyone where they are `*`.

        Raises:
            EncodingError: the payload is no JSON.
            GatewayUnreachable: the bus has taken nothing for as long as it has room.
        """
        if self._bus is not None:
            name = EVERYONE if user == EVERYONE else read_user(user)
            message = {"user_id": name, "actionType": read_type(action_type), "payload": Raw(encode(payload))}
            self._bus.send(name, msgspec.json.encode(message))
        elif self._later is not None and user == EVERYONE:
            self._later.broadcast(action_type, payload)
        elif self._later is not None:
            self._later.push(user, action_type, payload)
