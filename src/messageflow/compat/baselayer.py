"""`Flow` as applications of baselayer have it: `flow.push(user_id, action_type, payload)`, and `*` is everyone.

Never waits: its callers push in handlers of an event loop, and go on at once. So it is `flow.later` under another name.
"""

from __future__ import annotations

from typing import Any

from messageflow.compat.sending import ActionSender
from messageflow.publisher.arguments import User


class Flow:
    """Pushes to browsers through a messageflow gateway, which is found as every `messageflow.Flow` finds it.

    Where `MESSAGEFLOW_ZEROMQ` names the bus of a gateway, over that.

    Args:
        host: of the message bus, or the path of its socket: not used, for none is theirs any more.
        port: of the message bus: not used.
    """

    def __init__(self, host: object = None, port: object = None) -> None:
        self._sender = ActionSender()

    def push(self, user_id: User, action_type: str, payload: Any = None) -> None:
        """Send an action to all browsers of a user, or of everyone where the user is `*`.

        Args:
            user_id: who gets it.
            action_type: what it is.
            payload: what it carries; None is an empty object.

        Raises:
            EncodingError: the payload is no JSON.
        """
        self._sender.send(user_id, action_type, {} if payload is None else payload)
