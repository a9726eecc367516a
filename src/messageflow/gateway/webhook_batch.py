"""Notices of one kind, many in one request: those that come within a moment, so many and so large at most.

Each is told of its own result, so that one handler that fails is one failure. Where handlers are slow the application
answers those that it came to, and the rest is sent again. Owns what waits to be sent; how much
that may be is bounded by the places of its kind (`hub.hook_calls`).
"""

from __future__ import annotations

import asyncio

from messageflow.gateway.webhook_client import Asking, WebhookClient, WebhookError
from messageflow.handlers.webhook_messages import WebhookResult
from messageflow.hub.hook_calls import END_OF_SESSION
from messageflow.hub.hooks import AnswerLost, ApplicationAway
from messageflow.hub.runtime import Runtime

NOTICES = 100  # in one request
BYTES = 1024**2  # beyond which one more is not added
LINGER = 0.05  # seconds that the first of them waits for others

Waiting = list[tuple[bytes, "asyncio.Future[WebhookResult]"]]


class WebhookBatch:
    """What waits to be sent together.

    Args:
        runtime: owns the tasks.
        endpoint: of the application.
        kind: of the notices.
        asking: how they are sent.
        seconds: that a handler may take.
    """

    def __init__(self, runtime: Runtime, endpoint: WebhookClient, kind: str, asking: Asking, seconds: float) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._kind = kind
        self._asking = asking
        self._seconds = seconds
        self._waiting: Waiting = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    async def add(self, event: bytes) -> WebhookResult:
        """Send a notice with others; return what came of it.

        Raises:
            ApplicationAway, AnswerLost, WebhookError: as `WebhookClient.ask`.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[WebhookResult] = loop.create_future()
        self._waiting.append((event, result))
        self._bytes += len(event)
        if len(self._waiting) >= NOTICES or self._bytes >= BYTES:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER, self._flush)
        return await result

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting, self._bytes = self._waiting, [], 0
        self._runtime.spawn(self._send(batch), name=END_OF_SESSION)

    async def _send(self, batch: Waiting) -> None:
        while batch:
            events = b",".join([event for event, _ in batch])
            try:
                answer = await self._endpoint.ask(self._kind, events, self._asking, self._seconds)
                if not 0 < len(answer.results) <= len(batch):
                    raise WebhookError(f"the endpoint gave {len(answer.results)} results for {len(batch)} events")
            except (ApplicationAway, AnswerLost, WebhookError) as error:
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
                return
            for (_, waiting), result in zip(batch, answer.results, strict=False):
                if not waiting.done():
                    waiting.set_result(result)
            batch = batch[len(answer.results) :]
