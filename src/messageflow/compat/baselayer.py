"""`Flow` as applications of baselayer and cesium_web have it: `flow.push(user, action, payload)`, and `*` is everyone.

Never waits: its callers push in handlers of an event loop, and go on at once. So it is `flow.later` under another name.
"""

from __future__ import annotations

from typing import Any

import messageflow
from messageflow.publisher.arguments import EVERYONE, User


class Flow:
    """Pushes to browsers through a messageflow gateway, which is found as every `messageflow.Flow` finds it.

    Args:
        host: of the message bus, or the path of its socket: not used, there is none any more.
        port: of the message bus: not used.
    """

    def __init__(self, host: object = None, port: object = None) -> None:
        self._later = messageflow.Flow().later

    def push(self, user_id: User, action_type: str, payload: Any = None) -> None:
        """Send an action to all browsers of a user, or of everyone where the user is `*`.

        Args:
            user_id: who gets it.
            action_type: what it is.
            payload: what it carries; None is an empty object.

        Raises:
            EncodingError: the payload is no JSON.
        """
        carried = {} if payload is None else payload
        if user_id == EVERYONE:
            self._later.broadcast(action_type, carried)
        else:
            self._later.push(user_id, action_type, carried)
