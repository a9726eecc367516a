"""The server API of one worker: `api.api` over the hub's broker, and what only a worker has to say.

That is: it takes no new calls while it drains, and it logs what its broker fails at. What calls ask of every worker is
answered in `gateway.survey_answers`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from functools import partial

from messageflow.api.api import Answer, Api
from messageflow.api.publishing import CallRefused
from messageflow.core.codes import INTERNAL
from messageflow.core.revocations import kept_for
from messageflow.errors import BrokerError
from messageflow.gateway.survey_answers import SurveyAnswers
from messageflow.hub.hub import Hub


class WorkerApi:
    """The calls of one gateway worker.

    Args:
        hub: whose sessions and broker these are about.
        size_limit: bytes of JSON one publication may have.

    Attributes:
        over_zeromq: how many messages came there, by what became of them.
    """

    def __init__(self, hub: Hub, size_limit: int) -> None:
        self.hub = hub
        self.over_zeromq: Counter[str] = Counter()
        self._api = Api(
            hub.broker,
            hub.namespaces,
            size_limit,
            self._log,
            kept_for(hub.verifier.lifetime_limit),
            hub.publish_delay.wait,
            partial(asyncio.sleep, 0),
        )
        hub.answers |= SurveyAnswers(hub).by_question

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Carry out one call; see `Api.call`."""
        if self.hub.draining:
            return self._api.refuse(
                CallRefused(INTERNAL, "the gateway is shutting down: try another, or again soon", status=503)
            )
        return await self._api.call(method, body)

    def start(self, method: str, body: bytes, answer: Answer) -> bool:
        """Carry out one call without a coroutine, where that can be; see `Api.start`."""
        return not self.hub.draining and self._api.start(method, body, answer)

    async def call_from_inside(self, method: str, body: bytes) -> tuple[int, bytes]:
        """As `call`, for the application in the same process, which may push until its last request has ended."""
        return await self._api.call(method, body)

    @property
    def answered(self) -> Mapping[str, int]:
        """How many calls came, by method."""
        return self._api.answered

    @property
    def refused(self) -> Mapping[int, int]:
        """How many calls and parts of batches were refused, by error code."""
        return self._api.refused

    def _log(self, method: str, error: BrokerError) -> None:
        self.hub.log_limited(logging.ERROR, "call_failed", method=method, error=str(error))
