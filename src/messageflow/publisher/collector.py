"""What collects publications instead of sending each: the calls that it takes.

Owns the three signatures, once for everything that takes them; what becomes of a call is decided by who derives.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from messageflow.publisher import requests
from messageflow.publisher.call import Call
from messageflow.publisher.requests import Sender, User
from messageflow.publisher.results import Receipt
from messageflow.typed.message import TypedMessage


class CallCollector:
    """Takes publications. A payload is encoded as it is taken: what is changed afterwards changes nothing here."""

    __slots__ = ()

    def push(
        self,
        user: User,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> None:
        """Add a push to a user. See `Flow.push`."""
        self._add(
            requests.push(
                user,
                type,
                payload,
                idempotency_key=idempotency_key,
                exclude=exclude,
                version=version,
                version_epoch=version_epoch,
            )
        )

    def broadcast(
        self,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> None:
        """Add a broadcast to everyone online. See `Flow.broadcast`."""
        self._add(
            requests.broadcast(
                type,
                payload,
                idempotency_key=idempotency_key,
                exclude=exclude,
                version=version,
                version_epoch=version_epoch,
            )
        )

    def html(
        self,
        user: User,
        html: Any,
        *,
        target: str,
        swap: str = "inner",
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
    ) -> None:
        """Add a push of HTML to a user. See `Flow.html`."""
        self._add(requests.html(user, html, target=target, swap=swap, idempotency_key=idempotency_key, exclude=exclude))

    def publish(
        self,
        channel: str,
        data: Any,
        *,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        skip_history: bool = False,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
        compress: bool = True,
    ) -> None:
        """Add a publication in a channel. See `Flow.publish`."""
        self._add(
            requests.publish(
                channel,
                data,
                tags=tags,
                idempotency_key=idempotency_key,
                skip_history=skip_history,
                exclude=exclude,
                version=version,
                version_epoch=version_epoch,
                compress=compress,
            )
        )

    def _add(self, call: Call[Receipt]) -> None:
        raise NotImplementedError
