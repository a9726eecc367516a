"""`AsyncFlow`: the publisher's face to await.

Thin on purpose, as `flow` is: what a call asks and what its answer means stands in `requests`, when it is repeated in
`retry`.

The calls are written out here, in `flow` and in `collector`: a signature derived from another keeps its types only
without names and defaults, or without the word that it is awaited, and people read it in their editors. A test holds
those of all faces equal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, overload

from messageflow.client_io.asyncio_io import ASYNCIO
from messageflow.publisher import requests
from messageflow.publisher.batch import Batch
from messageflow.publisher.flow_base import FlowBase
from messageflow.publisher.later import AsyncLater
from messageflow.publisher.requests import Sender, User
from messageflow.publisher.results import (
    ClientInfo,
    History,
    Node,
    PagePosition,
    Position,
    PresenceStats,
    Receipt,
)
from messageflow.publisher.tokens import STREAM_LIFETIME, TICKET_TTL, TTL
from messageflow.publisher.transaction import Transaction
from messageflow.typed.message import TypedMessage


class AsyncFlow(FlowBase):
    """`Flow` for asyncio: the same arguments and the same calls, to be awaited.

    May be used from any event loop; all flows share the connections of the running one. When a call is cancelled its
    connection is closed and what it asked for may or may not have happened, as when a call times out.

    Connections are closed as their event loop ends by `asyncio.run`, by `async_to_sync`, or by anything else that ends
    its asynchronous generators; where a loop is only closed, use `async with AsyncFlow() as flow`, or `await
    flow.close()` before.
    """

    _io = ASYNCIO

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close this event loop's idle connections to the gateway. The flow may still be used and opens new ones."""
        self._close()
        await asyncio.sleep(0)  # lets the loop close the sockets before it may be closed itself

    async def push(
        self,
        user: User,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> Receipt:
        """As `Flow.push`."""
        call = requests.push(
            user,
            type,
            payload,
            idempotency_key=idempotency_key,
            exclude=exclude,
            version=version,
            version_epoch=version_epoch,
        )
        return await self._publish(call)

    async def broadcast(
        self,
        type: str | TypedMessage,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
        version: int | None = None,
        version_epoch: str = "",
    ) -> Receipt:
        """As `Flow.broadcast`."""
        call = requests.broadcast(
            type,
            payload,
            idempotency_key=idempotency_key,
            exclude=exclude,
            version=version,
            version_epoch=version_epoch,
        )
        return await self._publish(call)

    async def html(
        self,
        user: User,
        html: Any,
        *,
        target: str,
        swap: str = "inner",
        idempotency_key: str | None = None,
        exclude: Sender | None = None,
    ) -> Receipt:
        """As `Flow.html`."""
        return await self._publish(
            requests.html(user, html, target=target, swap=swap, idempotency_key=idempotency_key, exclude=exclude)
        )

    async def publish(
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
    ) -> Receipt:
        """As `Flow.publish`."""
        call = requests.publish(
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
        return await self._publish(call)

    def batch(self) -> AsyncBatch:
        """Collect calls in an `async with` block and send them together when it ends; nothing if it raises.

        Calls are added without awaiting; otherwise as `Flow.batch`, with `await batch.send()`.
        """
        return AsyncBatch(self)

    @property
    def later(self) -> AsyncLater:
        """As `Flow.later`: calls are not awaited, and sent by a thread, which outlives the loop; await its `flush`."""
        return AsyncLater(self._publish_later, self._get_sender, self._timeout)

    def transaction(self) -> AsyncTransaction:
        """As `Flow.transaction`, in an `async with` block; what tasks begun inside publish is collected too."""
        return AsyncTransaction(self)

    async def subscribe(self, user: User, channel: str) -> None:
        """As `Flow.subscribe`."""
        await self._perform(requests.subscribe(user, channel))

    async def unsubscribe(self, user: User, channel: str) -> None:
        """As `Flow.unsubscribe`."""
        await self._perform(requests.unsubscribe(user, channel))

    async def disconnect(self, user: User, *, code: int | None = None, reason: str = "") -> None:
        """As `Flow.disconnect`."""
        await self._perform(requests.disconnect(user, code=code, reason=reason))

    async def revoke(self, user: User, *, before: float | None = None, token: str = "", channels: str = "") -> None:
        """As `Flow.revoke`."""
        await self._perform(
            requests.revoke(user, time.time() if before is None else before, token=token, channels=channels)
        )

    @overload
    async def online(self, user: User) -> bool: ...  # type: ignore[overload-overlap]  # text is one user

    @overload
    async def online(self, user: Iterable[User]) -> set[User]: ...

    async def online(self, user: User | Iterable[User]) -> bool | set[User]:
        """As `Flow.online`."""
        return await self._find_online(user)

    async def presence(self, channel: str) -> dict[str, ClientInfo]:
        """As `Flow.presence`."""
        return await self._perform(requests.presence(channel))

    async def presence_stats(self, channel: str) -> PresenceStats:
        """As `Flow.presence_stats`."""
        return await self._perform(requests.presence_stats(channel))

    async def history(
        self,
        channel: str,
        *,
        limit: int = 100,
        since: Position | None = None,
        reverse: bool = False,
    ) -> History:
        """As `Flow.history`."""
        return await self._perform(requests.history(channel, limit=limit, since=since, reverse=reverse))

    async def position(self, user: User, *, channels: Iterable[str] = ()) -> dict[str, PagePosition]:
        """As `Flow.position`."""
        return await self._perform(requests.position(user, channels))

    async def channel_position(self, channel: str) -> PagePosition:
        """As `Flow.channel_position`."""
        return await self._perform(requests.channel_position(channel))

    async def history_remove(self, channel: str) -> None:
        """As `Flow.history_remove`."""
        await self._perform(requests.history_remove(channel))

    async def channels(self, pattern: str = "") -> dict[str, int]:
        """As `Flow.channels`."""
        return await self._perform(requests.channels(pattern))

    async def info(self) -> tuple[Node, ...]:
        """As `Flow.info`."""
        return await self._perform(requests.info())

    async def token(
        self,
        user: User,
        ttl: timedelta | float = TTL,
        *,
        channels: Iterable[str] = (),
        allow: Iterable[str] = (),
        info: Any = None,
        **claims: Any,
    ) -> str:
        """As `Flow.token`."""
        return self._make_token(user, ttl, channels, info, allow, claims)

    async def ticket(
        self,
        user: User,
        *,
        channels: Iterable[str] = (),
        ttl: timedelta | float = TICKET_TTL,
        lifetime: timedelta | float = STREAM_LIFETIME,
        info: Any = None,
    ) -> str:
        """As `Flow.ticket`."""
        return self._make_ticket(user, channels, ttl, lifetime, info)

    async def subscription_token(
        self, user: User, channel: str, ttl: timedelta | float = TTL, *, info: Any = None
    ) -> str:
        """As `Flow.subscription_token`."""
        return self._make_subscription_token(user, channel, ttl, info)


class AsyncBatch(Batch):
    """A batch of an `AsyncFlow`; see `AsyncFlow.batch`."""

    def __init__(self, flow: AsyncFlow) -> None:
        super().__init__()
        self._flow = flow

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if kind is None:
            await self.send()

    async def send(self) -> None:
        """Send what has no outcome yet; see `SyncBatch.send`."""
        self._flow._join_transaction(self)
        await self.send_all(self._flow._perform)


class AsyncTransaction(Transaction):
    """A transaction of an `AsyncFlow`; see `AsyncFlow.transaction`."""

    def __init__(self, flow: AsyncFlow) -> None:
        super().__init__(flow._target, flow._send_later)
        self._flow = flow

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()
        if kind is None and not self.join_enclosing():
            try:
                await self.send()
            finally:
                self.release_later()

    async def send(self) -> None:
        """Send what has no outcome yet; see `SyncBatch.send`."""
        await self.send_all(self._flow._perform)
