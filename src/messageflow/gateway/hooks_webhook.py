"""The hooks of an application elsewhere, by webhook: `hook_events` makes events of questions and answers of results.

The application says what it handles, and is asked nothing else: a kind without a handler costs what one without a hook
does, and a channel that no pattern fits takes no request. Until it has said so nobody gets in.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from messageflow.core.channel_patterns import matches
from messageflow.core.codes import METHOD_NOT_FOUND
from messageflow.core.webhook_signatures import read_key
from messageflow.errors import Refuse
from messageflow.gateway.hook_events import HOOK_EVENTS
from messageflow.gateway.settings import Settings
from messageflow.gateway.webhook_batch import WebhookBatch
from messageflow.gateway.webhook_client import LEEWAY, SHOWN, Asking, WebhookClient, WebhookError
from messageflow.gateway.webhook_url import parse_webhook_url
from messageflow.handlers.event import Event
from messageflow.handlers.registry import NAMED
from messageflow.handlers.webhook_messages import Described, WebhookResult
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hooks import ANSWERS, HANDLER, KINDS, NOTICES, REPEATABLE, ApplicationAway
from messageflow.hub.hub import Hub
from messageflow.hub.runtime import Runtime

PATIENCE = 300.0  # seconds for which notices wait for an application that is away, as while it is deployed
PLACES_OF_NOTICES = 6_400  # notices of one kind that may be under way


class WebhookHooks:
    """A hook for each kind that the application handles.

    Args:
        runtime: limits, counters and log.
        hooks: of the hub.
    """

    def __init__(self, runtime: Runtime, hooks: HookCalls) -> None:
        self._runtime = runtime
        self._hooks = hooks
        self._seconds = runtime.limits.hooks.hook_timeout
        self._described: Described = {}
        self._is_known = False
        self._endpoint: WebhookClient
        self._batches: dict[str, WebhookBatch] = {}

    def serve(self, endpoint: WebhookClient) -> None:
        """Begin: nobody gets in until the application has said what it handles."""
        self._endpoint = endpoint
        self._batches = {
            kind: WebhookBatch(
                self._runtime,
                endpoint,
                kind,
                Asking(kind in REPEATABLE, PATIENCE, batched=True),
                self._seconds,
            )
            for kind in NOTICES
        }
        self._hooks.add("connect", _refuse_unknown)

    def adapt(self, described: Described) -> None:
        """Ask from now on what the application handles now, and nothing else."""
        self._described = described
        for kind in KINDS:
            attached = getattr(self._hooks, kind) is not None
            if not described.get(kind):
                if attached:
                    self._hooks.remove(kind)
                continue
            if kind == "connect" and not self._is_known:
                self._hooks.remove(kind)
                attached = False
            if not attached:
                self._add(kind)
        self._is_known = True

    def _add(self, kind: str) -> None:
        answer = partial(self._answer, kind)
        if kind in NOTICES:
            self._hooks.add(kind, answer, PLACES_OF_NOTICES, self._seconds + PATIENCE + 2 * LEEWAY)
        else:
            self._hooks.add(kind, answer)

    async def _answer(self, kind: str, question: Any) -> Any:
        """Return what the application answers; what concerns none of its functions takes no request."""
        hook_event = HOOK_EVENTS[kind]
        told = hook_event.tell(question)
        if kind in NAMED:
            self._require(kind, told.name)
        elif told.channel and not self._find(kind, told.channel):
            return ANSWERS[kind]()  # which of `None` is None
        event = told.carry_event()
        if kind in NOTICES:
            return await self._tell(kind, event)
        result = await self._ask(kind, event)
        try:
            return hook_event.read(result.result)
        except msgspec.MsgspecError as error:
            raise WebhookError(f"the endpoint answered with what is no answer to this: {error}") from None

    def _require(self, kind: str, name: str) -> None:
        """Refuse a name that nobody handles; the next look at the application may show that somebody does."""
        if name not in self._described.get(kind, ()):
            self._endpoint.look_again()
            raise Refuse(METHOD_NOT_FOUND.code, METHOD_NOT_FOUND.message)

    def _find(self, kind: str, channel: str) -> str:
        """Return the first function that a channel concerns, empty where there is none."""
        places = self._described.get(kind, {}).items()
        return next((place or kind for pattern, place in places if matches(pattern, channel)), "")

    async def _ask(self, kind: str, event: Event) -> WebhookResult:
        named = self._described.get(kind, {})
        HANDLER.set(named.get(event.name) or self._find(kind, event.channel) or next(iter(named.values()), ""))
        asking = Asking(kind in REPEATABLE)
        answer = await self._endpoint.ask(kind, msgspec.json.encode(event), asking, self._seconds)
        if len(answer.results) != 1:
            raise WebhookError(f"the endpoint gave {len(answer.results)} results for one event")
        return _judge(answer.results[0])

    async def _tell(self, kind: str, event: Event) -> None:
        HANDLER.set(self._find(kind, event.channel))
        _judge(await self._batches[kind].add(msgspec.json.encode(event)))


def serve_webhook(settings: Settings, hub: Hub) -> WebhookClient:
    """Let the application at `hooks_url` decide; returns what is to be watched as long as the hub serves."""
    runtime, adapter = hub.runtime, WebhookHooks(hub.runtime, hub.hooks)
    endpoint = WebhookClient(
        runtime,
        parse_webhook_url(settings.hooks_url),
        [read_key(secret) for secret in settings.hooks_secret],
        settings.limits.hooks.hook_concurrency,
        adapter.adapt,
    )
    adapter.serve(endpoint)
    return endpoint


async def _refuse_unknown(_: Any) -> Any:
    raise ApplicationAway


def _judge(result: WebhookResult) -> WebhookResult:
    """Return what a handler returned.

    Raises:
        Refuse: it refuses.
        WebhookError: it has failed.
    """
    if (refusal := result.refusal) is not None:
        raise Refuse(refusal.code, refusal.message, temporary=refusal.temporary)
    if (failure := result.failure) is not None:
        HANDLER.set(failure.handler or HANDLER.get())
        raise WebhookError(f"the handler has failed, as the application's log tells: {failure.error[:SHOWN]}")
    return result
