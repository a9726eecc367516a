"""The methods of the server API: by what each is called, what it takes and what it is answered. Pure."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from messageflow.api import answers, calls


class Method(NamedTuple):
    """A method of the API.

    Args:
        takes: the shape of its body.
        answers: the shape of its result.
        requires: what its body must have.
        section: of the documentation.
        stores: whether it stores publications.
    """

    takes: type[Struct]
    answers: type[Struct]
    requires: tuple[str, ...]
    section: str
    stores: bool = False


PUBLISHING, READING, USERS = "Publishing", "Reading", "Users and their connections"

METHODS = {
    "push": Method(calls.PushCall, answers.ReceiptAnswer, ("user", "type"), PUBLISHING, stores=True),
    "broadcast_push": Method(calls.BroadcastPushCall, answers.ReceiptAnswer, ("type",), PUBLISHING, stores=True),
    "publish": Method(calls.PublishCall, answers.ReceiptAnswer, ("channel",), PUBLISHING, stores=True),
    "broadcast": Method(calls.BroadcastCall, answers.BroadcastAnswer, ("channels",), PUBLISHING, stores=True),
    "batch": Method(calls.BatchCall, answers.BatchAnswer, ("commands",), PUBLISHING, stores=True),
    "history": Method(calls.HistoryCall, answers.HistoryAnswer, ("channel",), READING),
    "history_remove": Method(calls.ChannelCall, calls.Nothing, ("channel",), READING),
    "presence": Method(calls.ChannelCall, answers.PresenceAnswer, ("channel",), READING),
    "presence_stats": Method(calls.ChannelCall, answers.PresenceStats, ("channel",), READING),
    "online": Method(calls.OnlineCall, answers.OnlineAnswer, ("users",), READING),
    "channels": Method(calls.ChannelsCall, answers.ChannelsAnswer, (), READING),
    "info": Method(calls.Nothing, answers.InfoAnswer, (), READING),
    "subscribe": Method(calls.SubscribeCall, calls.Nothing, ("user", "channel"), USERS),
    "unsubscribe": Method(calls.UnsubscribeCall, calls.Nothing, ("user", "channel"), USERS),
    "disconnect": Method(calls.DisconnectCall, calls.Nothing, ("user",), USERS),
    "revoke": Method(calls.RevokeCall, calls.Nothing, ("user",), USERS),
    "refresh": Method(calls.RefreshCall, calls.Nothing, ("user",), USERS),
}
"""Every method there is, by its name in the path.

What carries out `name` is the method `name` of the part its section has: of `ReadingCalls` in `api.reading_calls` for
those that read, of `ControlCalls` in `api.control_calls` for those that change connections of users. What publishes is
`api.api`'s own.
"""

STORE_ONE = tuple(name for name, method in METHODS.items() if method.answers is answers.ReceiptAnswer)
"""Those that store one publication, and are answered with where it is."""
