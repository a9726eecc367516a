"""`push` as the application of message_flow has it: `push(user, task_id, data)`, and `*` is nobody."""

from __future__ import annotations

from typing import Any

from messageflow.compat.sending import ActionSender
from messageflow.publisher.arguments import User, read_user


def push(user: User, task_id: str, data: Any) -> None:
    """Send a message to all browsers of a user. Returns at once.

    Args:
        user: who gets it.
        task_id: what it is.
        data: what it carries.

    Raises:
        EncodingError: the data is no JSON.
        ValueError: the user is `*`, who was nobody there.
    """
    ActionSender().send(read_user(user), task_id, data)
