"""The calls of the server API that change what connections of a user may or are in: each is told to every worker.

Owns what such a call is refused for. What it then does to a session is `hub.control_handler`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from msgspec import Raw

from messageflow.api import bounds, calls
from messageflow.api.publishing import CallRefused, check_user, find_options
from messageflow.brokers.base import NodeMessages, StreamStore
from messageflow.core import control
from messageflow.core.channels import REVOKED
from messageflow.core.claims import SubscribeOptions
from messageflow.core.codes import BAD_REQUEST, is_close_code
from messageflow.core.namespaces import Namespaces
from messageflow.core.revocations import MARGIN, MOST, Revocation, encode_revocation
from messageflow.core.stream import Item, Retention

EACH_USER = "this is for one user a call; what is for everyone is sent with broadcast_push"


class Messenger(StreamStore, NodeMessages, Protocol):
    """The contracts of a broker that calls which are told to workers need."""


class ControlCalls:
    """One method a call, by its name.

    Args:
        broker: tells the workers.
        namespaces: the options of every channel.
        check_carried: returns JSON that travels beside publications, or refuses it.
        revoked_for: seconds a revocation is kept, see `core.revocations.kept_for`.
    """

    def __init__(
        self,
        broker: Messenger,
        namespaces: Namespaces,
        check_carried: Callable[[Raw], bytes | None],
        revoked_for: float,
    ) -> None:
        self._broker = broker
        self._namespaces = namespaces
        self._check = check_carried
        self._revoked = Retention(MOST, revoked_for)

    async def subscribe(self, call: calls.SubscribeCall) -> calls.Nothing:
        """Make connected sessions of a user subscribers of a channel."""
        find_options(self._namespaces, call.channel)
        overrides = {name: each.value for name, each in call.override.overrides().items()}
        options = SubscribeOptions(info=self._check(call.info), data=self._check(call.data), **overrides)
        return await self._tell(
            control.SubscribeUser(
                call.user, call.channel, call.client, options, call.recover_since, call.expire_at or None
            )
        )

    async def unsubscribe(self, call: calls.UnsubscribeCall) -> calls.Nothing:
        """End subscriptions of a user: to a channel, or to all but those that are their own."""
        bounds.check_names(call.channel)
        find_options(self._namespaces, call.channel)
        return await self._tell(control.UnsubscribeUser(call.user, call.channel, call.client))

    async def disconnect(self, call: calls.DisconnectCall) -> calls.Nothing:
        """End connections of a user."""
        code = call.disconnect
        if not is_close_code(code.code):
            raise CallRefused(BAD_REQUEST, "a disconnect code is between 3000 and 4999")
        return await self._tell(
            control.DisconnectUser(call.user, call.client, frozenset(call.whitelist), code.code, code.reason[:100])
        )

    async def refresh(self, call: calls.RefreshCall) -> calls.Nothing:
        """Move the end of connections of a user."""
        return await self._tell(control.RefreshUser(call.user, call.client, call.expired, call.expire_at or None))

    async def revoke(self, call: calls.RevokeCall) -> calls.Nothing:
        """Believe no more what was issued to a user."""
        check_user(call.user, EACH_USER)
        now = time.time()
        before = now if call.before is None else call.before
        if before > now + MARGIN / 2:
            raise CallRefused(BAD_REQUEST, "`before` is in the future: tokens made from now on cannot be revoked yet")
        bounds.check_revoked(call.token, call.channels)
        revocation = Revocation(call.user, before, call.token, call.channels)
        await self._broker.publish([Item(REVOKED, encode_revocation(revocation), self._revoked)])
        return calls.Nothing()

    async def _tell(self, message: control.Control) -> calls.Nothing:
        check_user(message.user, EACH_USER)
        bounds.check_names(message.client, getattr(message, "channel", ""))
        await self._broker.send_control(control.encode_control(message))
        return calls.Nothing()
