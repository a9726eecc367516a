"""The hooks of an application elsewhere, by webhook: questions become events of its handlers, results answers.

The application says what it handles, and is asked nothing else: a kind without a handler costs what one without a hook
does, and a channel that no pattern fits takes no request. Until it has said so nobody gets in.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from messageflow.core.channel_patterns import matches
from messageflow.core.codes import BAD_REQUEST, METHOD_NOT_FOUND
from messageflow.core.webhook_signatures import read_key
from messageflow.errors import Refuse
from messageflow.gateway.settings import Settings
from messageflow.gateway.webhook_batch import WebhookBatch
from messageflow.gateway.webhook_client import LEEWAY, SHOWN, Asking, WebhookClient, WebhookError
from messageflow.gateway.webhook_url import parse_webhook_url
from messageflow.handlers.event import Event
from messageflow.handlers.webhook_messages import Described, WebhookResult
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hooks import (
    HANDLER,
    KINDS,
    ApplicationAway,
    AuthorizeAnswer,
    AuthorizeQuestion,
    ChannelNotice,
    ClientEvent,
    ClientView,
    ConnectAnswer,
    ConnectQuestion,
    DisconnectNotice,
    PublishAnswer,
    PublishQuestion,
    RefreshAnswer,
    RefreshQuestion,
    RpcAnswer,
    RpcQuestion,
)
from messageflow.hub.hub import Hub
from messageflow.hub.runtime import Runtime

PATIENCE = 300.0  # seconds for which notices wait for an application that is away, as while it is deployed
ASKINGS = {
    "connect": Asking(repeatable=True),
    "authorize": Asking(repeatable=True),
    "refresh": Asking(repeatable=True),
    "disconnect": Asking(repeatable=True, patience=PATIENCE),
    "occupied": Asking(patience=PATIENCE),
    "vacated": Asking(patience=PATIENCE),
}
ONCE = Asking()
BATCHED = frozenset({"disconnect", "occupied", "vacated"})
PLACES_BATCHED = 6_400  # notices of one kind that may be under way


_NULL = Raw(b"null")


class _Sent(Struct, frozen=True):
    """What handlers take of what a page sends."""

    type: str
    payload: Raw = _NULL


class _Welcome(Struct, frozen=True):
    user: str | None = None
    expires_at: float | None = None
    info: Raw = _NULL  # msgspec takes no union with Raw
    data: Raw = _NULL
    channels: tuple[str, ...] | None = None
    allow: tuple[str, ...] | None = None


class _Replacement(Struct, frozen=True):
    data: Raw


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
            kind: WebhookBatch(self._runtime, endpoint, kind, ASKINGS[kind], self._seconds) for kind in BATCHED
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
        if kind in BATCHED:
            self._hooks.add(kind, getattr(self, kind), PLACES_BATCHED, self._seconds + PATIENCE + 2 * LEEWAY)
        else:
            self._hooks.add(kind, getattr(self, kind))

    # One for each kind of question

    async def event(self, question: ClientEvent) -> None:
        """Let a handler take what a page sent: `{"type": name, "payload": data}`."""
        try:
            sent = msgspec.json.decode(question.data, type=_Sent)
        except msgspec.MsgspecError:
            raise Refuse(BAD_REQUEST.code, 'what handlers take is {"type": "a name", "payload": data}') from None
        self._require("event", sent.type)
        await self._ask("event", _make_event(question.client, sent.type, sent.payload))

    async def rpc(self, question: RpcQuestion) -> RpcAnswer:
        """Let a handler answer a call."""
        self._require("rpc", question.method)
        event = _make_event(question.client, question.method, _as_raw(question.data))
        return RpcAnswer(bytes((await self._ask("rpc", event)).result))

    async def connect(self, question: ConnectQuestion) -> ConnectAnswer:
        """Let handlers see who connects."""
        result = await self._ask("connect", _make_event(question.client, "connect", _as_raw(question.data)))
        said = _read(result, _Welcome | None)
        if said is None:
            return ConnectAnswer()
        return ConnectAnswer(
            user=said.user,
            expires_at=said.expires_at,
            info=_as_bytes(said.info),
            data=_as_bytes(said.data),
            channels=said.channels or (),
            allow=said.allow or (),
        )

    async def authorize(self, question: AuthorizeQuestion) -> AuthorizeAnswer:
        """Let handlers say who may do what."""
        if not self._find("authorize", question.channel):
            return AuthorizeAnswer()
        event = _make_event(question.client, "authorize", channel=question.channel, verb=question.verb)
        return AuthorizeAnswer(_read(await self._ask("authorize", event), bool | None))

    async def publish(self, question: PublishQuestion) -> PublishAnswer:
        """Let handlers see, change or refuse what a client publishes."""
        if not self._find("publish", question.channel):
            return PublishAnswer()
        event = _make_event(question.client, "publish", Raw(question.data), channel=question.channel)
        said = _read(await self._ask("publish", event), _Replacement | None)
        return PublishAnswer(None if said is None else bytes(said.data))

    async def refresh(self, question: RefreshQuestion) -> RefreshAnswer:
        """Let an application that has something for it see a newer token."""
        said = _read(await self._ask("refresh", _make_event(question.client, "refresh")), _Welcome | None)
        if said is None:
            return RefreshAnswer()
        return RefreshAnswer(expires_at=said.expires_at, info=_as_bytes(said.info))

    async def disconnect(self, notice: DisconnectNotice) -> None:
        """Let handlers know who has gone."""
        event = _make_event(notice.client, "disconnect", code=notice.code, reason=notice.reason)
        await self._tell("disconnect", event)

    async def occupied(self, notice: ChannelNotice) -> None:
        """Let handlers know of a channel's first subscriber."""
        await self._tell("occupied", Event(name="occupied", channel=notice.channel, headers={}))

    async def vacated(self, notice: ChannelNotice) -> None:
        """Let handlers know that a channel has lost its last subscriber."""
        await self._tell("vacated", Event(name="vacated", channel=notice.channel, headers={}))

    # What they share

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
        asking = ASKINGS.get(kind, ONCE)
        answer = await self._endpoint.ask(kind, msgspec.json.encode(event), asking, self._seconds)
        if len(answer.results) != 1:
            raise WebhookError(f"the endpoint gave {len(answer.results)} results for one event")
        return _judge(answer.results[0])

    async def _tell(self, kind: str, event: Event) -> None:
        if event.channel and not self._find(kind, event.channel):
            return
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


def _read(result: WebhookResult, expected: Any) -> Any:
    try:
        return msgspec.json.decode(result.result, type=expected)
    except msgspec.MsgspecError as error:
        raise WebhookError(f"the endpoint answered with what is no answer to this: {error}") from None


def _as_bytes(said: Raw) -> bytes | None:
    """Return JSON, None where it is null: nothing was said."""
    data = bytes(said)
    return None if data == b"null" else data


def _as_raw(data: bytes) -> Raw | None:
    return Raw(data) if data else None


def _make_event(client: ClientView, name: str, data: Raw | None = None, **more: Any) -> Event:
    return Event(
        name=name,
        data=data,
        user=client.user,
        client=client.client,
        headers=dict(client.headers),
        address=client.address,
        info=_as_raw(client.info),
        **more,
    )
