"""Litestar: `Litestar(plugins=[MessageFlow()])` pushes, gives pages their tokens and their script tag, and hears them.

    from messageflow.integrations.litestar import MessageFlow, Messages

    app = Litestar([order_report], plugins=[MessageFlow(user=find_user)])

    @post("/reports")
    async def order_report(messages: Messages) -> None:
        await messages.push_current("report/ready", {"id": 7})

Who is logged in is the application's to say: what its authentication left in `request.user`, or the function `user`.
Owns what is between Litestar and an `AsyncFlow`. Never a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from messageflow.errors import ConfigurationError
from messageflow.extras import needing
from messageflow.integrations.async_site import AsyncSite
from messageflow.integrations.event_stream import ViewStream
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.request_flow import AsyncRequestFlow
from messageflow.integrations.script_tag import Since
from messageflow.integrations.site import NAME, read_name
from messageflow.publisher.arguments import User

with needing("messageflow.integrations.litestar", "litestar"):
    from litestar import Request, Response, asgi, get
    from litestar.config.app import AppConfig
    from litestar.di import NamedDependency, Provide
    from litestar.plugins import InitPlugin
    from litestar.types import Receive, Scope, Send

Messages = NamedDependency[AsyncRequestFlow]
TOKEN_NAME = f"{NAME}_token"
UNGUARDED = {"exclude_from_auth": True, "exclude_from_csrf": True}  # as Litestar's own middleware reads it
NO_LOGIN = (
    "MessageFlow cannot tell who is logged in: give it MessageFlow(user=function), or an authentication that leaves a "
    "name in request.user, or set MESSAGEFLOW_TOKEN_PATH to None where the application has a token view of its own"
)


class MessageFlow(AsyncSite, InitPlugin):
    """All of `AsyncFlow`, and what it gives an application to do: a plugin.

    Handlers that have a parameter `messages: Messages` get the flow of their request.

    Args:
        user: takes a request, and returns the name of who is logged in, None for nobody; may be a coroutine function.
            Else `request.user` is taken, where an authentication has left a name, a number or a UUID there.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: takes a request, and returns the nonce of this response's Content-Security-Policy; else
            `request.state.csp_nonce` is taken, where it is there.
        settings: such as `{"URL": …}`; what is not told is found in the environment, `MESSAGEFLOW_URL`.

    Raises:
        ConfigurationError: a setting cannot be used; the message names it.
    """

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Give an application its token view, its webhook, `messages` and `{{ messageflow_script() }}`."""
        app_config.lifespan.append(self.lifespan)
        app_config.dependencies.setdefault("messages", Provide(self.for_request, sync_to_thread=False))
        app_config.route_handlers.extend(self._make_handlers())
        if app_config.template_config is not None:
            self._add_to(app_config.template_config.engine_instance)
        return app_config

    def for_request(self, request: Request[Any, Any, Any]) -> AsyncRequestFlow:
        """Return the flow of a request: all of `AsyncFlow`, `push_current`, `mark_position` and `script`."""
        scope: Any = request.scope
        owner, flow = scope.get(NAME, (None, None))
        if owner is not self:
            flow = self.make_request_flow(
                request, lambda: self.find_user(request), lambda: urlsplit(request.url_for(TOKEN_NAME)).path
            )
            scope[NAME] = self, flow
        return cast(AsyncRequestFlow, flow)

    def event_stream(
        self,
        request: Request[Any, Any, Any],
        user: User | None,
        *,
        channels: Iterable[str] = (),
        ttl: timedelta | float | None = None,
    ) -> Response[Any]:
        """Return what a handler answers: the events of the gateway, as `/connection/uni_sse` has them, with their ids.

        Args:
            request: of the handler; its `Last-Event-ID` says where to resume, `?newest` and `?as=` what else it wants.
            user: who hears what is pushed to them; None for nobody, who gets 401.
            channels: what they hear besides.
            ttl: how long until it ends and the handler is asked again; else as long as tokens of pages are good.

        Raises:
            ConfigurationError, ValueError: as `Flow.token`.
        """
        return _EventStreamResponse(self.make_event_stream(request, user, channels, ttl))

    async def find_user(self, request: Request[Any, Any, Any]) -> User | None:
        """Return the name of who is logged in, None for nobody.

        Raises:
            ConfigurationError: the application has not said how to tell.
        """
        if self._user is not None:
            return await super().find_user(request)
        name = request.scope.get("user", NO_LOGIN)
        if name is NO_LOGIN or not isinstance(name, str | int | UUID | None):
            raise ConfigurationError(NO_LOGIN)
        return read_name(name)

    def find_nonce(self, request: Request[Any, Any, Any]) -> str:
        """Return the nonce of the page, empty for none."""
        return super().find_nonce(request) or str(request.state.get("csp_nonce", ""))

    def _add_to(self, templates: Any) -> None:
        from markupsafe import Markup

        def script(context: Mapping[str, Any], /, nonce: str | None = None, since: Since | None = None) -> Markup:
            return Markup(self.for_request(context["request"]).script(nonce=nonce, since=since))

        def html(
            context: Mapping[str, Any], /, library: str, channels: Iterable[str] = (), since: Since | None = None
        ) -> MarkupText:
            return self.for_request(context["request"]).html_stream(library, channels=channels, since=since)

        templates.register_template_callable(f"{NAME}_script", script)
        templates.register_template_callable(f"{NAME}_html", html)

    def _make_handlers(self) -> Iterator[Any]:
        settings = self.site.settings
        if settings.token_path is not None:

            @get(settings.token_path, name=TOKEN_NAME, include_in_schema=False)
            async def give_token(request: Request[Any, Any, Any]) -> Response[Any]:
                answer = self.answer_token(await self.find_user(request))
                return Response(answer.body, status_code=answer.status, headers=answer.headers)

            yield give_token
        if settings.hooks_path is not None:

            @asgi(settings.hooks_path, copy_scope=True, opt=UNGUARDED)
            async def answer_gateway(scope: Scope, receive: Receive, send: Send) -> None:
                await self.site.webhook.asgi(cast(Any, scope), cast(Any, receive), cast(Any, send))

            yield answer_gateway


class _EventStreamResponse(Response[Any]):
    """An event stream of the gateway, with the headers and cookies that the application adds."""

    def __init__(self, stream: ViewStream) -> None:
        super().__init__(None)
        self._stream = stream

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **more: Any) -> Any:
        told = super().to_asgi_response(app, request, **more)
        own = [header for header in told.encode_headers() if header[0] not in (b"content-length", b"content-type")]

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await self._stream.serve(cast(Any, receive), cast(Any, send), own)
            if told.background is not None:
                await told.background()

        return serve
