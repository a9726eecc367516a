"""`Flow` as applications of cesium_web have it: `flow.push(username, action_type, payload)`, and `*` is everyone.

That of `compat.baselayer` with the names of its arguments.
"""

from __future__ import annotations

from typing import Any

from messageflow.compat.sending import ActionSender
from messageflow.publisher.arguments import User


class Flow:
    """Pushes to browsers, as `messageflow.compat.baselayer.Flow` does.

    Args:
        socket_path: of the message bus: not used, for none is theirs any more.
    """

    def __init__(self, socket_path: object = None) -> None:
        self._sender = ActionSender()

    def push(self, username: User, action_type: str, payload: Any = None) -> None:
        """Send an action to all browsers of a user, or of everyone where the user is `*`.

        Args:
            username: who gets it.
            action_type: what it is.
            payload: what it carries; None is an empty object.

        Raises:
            EncodingError: the payload is no JSON.
        """
        self._sender.send(username, action_type, {} if payload is None else payload)
