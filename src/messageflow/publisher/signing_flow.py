"""The tokens of `Flow`: made here, without asking the gateway. Never a call to anybody."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from messageflow.publisher.flow_base import FlowBase
from messageflow.publisher.requests import User
from messageflow.publisher.tokens import STREAM_LIFETIME, TICKET_TTL, TTL


class SigningFlow(FlowBase):
    """What `Flow` signs."""

    def token(
        self,
        user: User,
        ttl: timedelta | float = TTL,
        *,
        channels: Iterable[str] = (),
        allow: Iterable[str] = (),
        info: Any = None,
        **claims: Any,
    ) -> str:
        """Return a token with which a browser connects as `user`. Made here, without asking the gateway.

        Args:
            user: who; what `push` calls them.
            ttl: how long it is good, a timedelta or seconds, at most `token_lifetime_limit`; the browser
                client fetches a new one in time.
            channels: what the gateway subscribes them to by itself.
            allow: what they may do in channels besides, such as `news:*` (subscribe) or `org-7:*=subscribe,history`;
                a star ends a pattern, and the verbs are subscribe, publish, history and presence.
            info: what others see of them in presence.
            claims: further claims, for your own use.

        Raises:
            ConfigurationError: there is no secret, or one under 32 bytes.
            EncodingError: JSON cannot carry a claim; the message says which.
            TypeError, ValueError: the gateway would refuse this token: it lives too long, is longer than 8 KiB, or
                names a user or a channel that cannot be.
        """
        return self._make_token(user, ttl, channels, info, allow, claims)

    def ticket(
        self,
        user: User,
        *,
        channels: Iterable[str] = (),
        ttl: timedelta | float = TICKET_TTL,
        lifetime: timedelta | float = STREAM_LIFETIME,
        info: Any = None,
    ) -> str:
        """Return a ticket with which a browser's `EventSource` hears what is pushed to `user`: a token for an address.

        It opens one stream, at `/connection/uni_sse?ticket=…`, and that comes back with it by itself.

        Args:
            user: who; what `push` calls them.
            channels: what they hear besides.
            ttl: how long it may wait to be used, a timedelta or seconds; an address ends up in logs, so keep it short.
            lifetime: how long its stream lives, at most `token_lifetime_limit`; then the page needs another ticket.
            info: what others see of them in presence.

        Raises:
            ConfigurationError, EncodingError, TypeError, ValueError: as `token`.
        """
        return self._make_ticket(user, channels, ttl, lifetime, info)

    def subscription_token(self, user: User, channel: str, ttl: timedelta | float = TTL, *, info: Any = None) -> str:
        """Return a token with which `user` may subscribe to `channel`. Arguments and errors as in `token`."""
        return self._make_subscription_token(user, channel, ttl, info)
