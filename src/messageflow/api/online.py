"""Which of many users have a connection now. Over any broker, in slices, so that others have their turn between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from messageflow.api import bounds
from messageflow.api.answers import OnlineAnswer
from messageflow.api.calls import OnlineCall
from messageflow.api.publishing import CallRefused, check_user
from messageflow.brokers.base import PresenceReader
from messageflow.core.channels import personal
from messageflow.core.codes import BAD_REQUEST, NOT_AVAILABLE
from messageflow.core.namespaces import Namespaces

EVERYONE = "everyone online is nobody's name"


async def find_online(
    broker: PresenceReader, namespaces: Namespaces, pause: Callable[[], Awaitable[None]], call: OnlineCall
) -> OnlineAnswer:
    """Return those users of a call who are online, in its order and each once.

    Args:
        broker: knows who is in which channel.
        namespaces: what personal channels keep.
        pause: lets others have their turn.
        call: who is asked about.

    Raises:
        CallRefused: they are none or too many, one is no user, or the presence of personal channels is off.
    """
    if not call.users:
        raise CallRefused(BAD_REQUEST, "there are no users to ask about")
    bounds.check_count(len(call.users), bounds.MOST_CHANNELS, "users")
    for user in call.users:
        check_user(user, EVERYONE)
    if not namespaces.personal.presence:
        raise CallRefused(NOT_AVAILABLE, "presence is off in personal channels: set `presence` for them")
    users = list(dict.fromkeys(call.users))
    found: list[str] = []
    for start in range(0, len(users), bounds.SLICE):
        if start:
            await pause()
        some = users[start : start + bounds.SLICE]
        occupied = await broker.find_occupied([personal(user) for user in some])
        found += [user for user in some if personal(user) in occupied]
    return OnlineAnswer(found)
