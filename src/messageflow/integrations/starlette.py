"""Starlette: `MessageFlow(app)` pushes, gives pages their tokens and their script tag, and hears what pages say.

    from messageflow.integrations.starlette import MessageFlow

    messageflow = MessageFlow(app, user=find_user)          # or MessageFlow(user=…) and init_app(app)
    await messageflow.for_request(request).push_current("report/ready", {"id": 7})

Who is logged in is the application's to say: its AuthenticationMiddleware, or the function `user`. Owns what is between
Starlette and an `AsyncFlow`: the token view, the webhook, the script tag of templates. Never a connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

from messageflow.errors import ConfigurationError
from messageflow.extras import needing
from messageflow.handlers.webhook import ASGIApp, Receive, Scope, Send, Webhook
from messageflow.integrations.async_site import AsyncSite
from messageflow.integrations.event_stream import ViewStream
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.request_flow import AsyncRequestFlow
from messageflow.integrations.script_tag import Since
from messageflow.integrations.site import NAME
from messageflow.publisher.arguments import User

with needing("messageflow.integrations.starlette", "starlette"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import NoMatchFound, Route, Router
    from starlette.templating import Jinja2Templates

TOKEN_NAME = f"{NAME}_token"
NO_LOGIN = (
    "MessageFlow cannot tell who is logged in: give it MessageFlow(user=function), or Starlette an "
    "AuthenticationMiddleware, or set MESSAGEFLOW_TOKEN_PATH to None where the application has a token view of its own"
)


class MessageFlow(AsyncSite):
    """All of `AsyncFlow`, and what it gives an application to do.

    Args:
        app: to begin with; else `init_app` does, or `router` and `lifespan` where it is put together by hand.
        user: takes a request, and returns the name of who is logged in, None for nobody; may be a coroutine function.
            Else `request.user` is asked, of Starlette's AuthenticationMiddleware.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: takes a request, and returns the nonce of this response's Content-Security-Policy; else
            `request.state.csp_nonce` is taken, where it is there.
        settings: such as `{"URL": …}`; what is not told is found in the environment, `MESSAGEFLOW_URL`.
        templates: get `{{ messageflow_script() }}` and `{{ messageflow_html("htmx4") }}`.

    Raises:
        ConfigurationError: a setting cannot be used; the message names it.
    """

    def __init__(
        self,
        app: Starlette | None = None,
        *,
        user: Callable[..., Any] | None = None,
        token_options: Callable[[User], Mapping[str, Any]] | None = None,
        nonce: Callable[[Any], str] | None = None,
        settings: Mapping[str, Any] | None = None,
        templates: Jinja2Templates | None = None,
    ) -> None:
        super().__init__(user=user, token_options=token_options, nonce=nonce, settings=settings)
        self.router: Router = self._make_router()
        if self.site.settings.hooks_path is not None:
            self.router.routes.append(Route(self.site.webhook.path, _Answering(self.site.webhook), methods=["POST"]))
        if templates is not None:
            self.add_to(templates)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Starlette) -> None:
        """Give an application its token view and its webhook, and let no `Flow` hold up its event loop.

        Raises:
            ConfigurationError: it has one already.
        """
        if hasattr(app.state, NAME):
            raise ConfigurationError("this application has a MessageFlow already: one is enough for all routers")
        setattr(app.state, NAME, self)
        self._include(app)
        build = app.build_middleware_stack
        app.build_middleware_stack = lambda: self._beside(build())  # type: ignore[method-assign]

    def add_to(self, templates: Jinja2Templates) -> None:
        """Give templates `{{ messageflow_script() }}` and `{{ messageflow_html("htmx4") }}`."""
        from jinja2 import pass_context
        from markupsafe import Markup

        @pass_context
        def script(context: Mapping[str, Any], *, nonce: str | None = None, since: Since | None = None) -> Markup:
            return Markup(self._find(context["request"]).script(nonce=nonce, since=since))

        @pass_context
        def html(
            context: Mapping[str, Any], library: str, *, channels: Iterable[str] = (), since: Since | None = None
        ) -> MarkupText:
            return self._find(context["request"]).html_stream(library, channels=channels, since=since)

        templates.env.globals |= {f"{NAME}_script": script, f"{NAME}_html": html}

    def for_request(self, request: HTTPConnection) -> AsyncRequestFlow:
        """Return the flow of a request: all of `AsyncFlow`, `push_current`, `mark_position` and `script`."""
        return self._find(request)

    def event_stream(
        self,
        request: Request,
        user: User | None,
        *,
        channels: Iterable[str] = (),
        ttl: timedelta | float | None = None,
    ) -> Response:
        """Return what the view answers: the events of the gateway, as `/connection/uni_sse` has them, with their ids.

        Args:
            request: of the view; its `Last-Event-ID` says where to resume, `?newest` and `?as=` what else it wants.
            user: who hears what is pushed to them; None for nobody, who gets 401.
            channels: what they hear besides.
            ttl: how long until it ends and the view is asked again; else as long as tokens of pages are good.

        Raises:
            ConfigurationError, ValueError: as `Flow.token`.
        """
        return _EventStreamResponse(self.make_event_stream(request, user, channels, ttl))

    async def find_user(self, request: HTTPConnection) -> User | None:
        """Return the name of who is logged in, None for nobody.

        Raises:
            ConfigurationError: the application has not said how to tell.
        """
        return await super().find_user(request) if self._user is not None else find_authenticated(request)

    def find_nonce(self, request: HTTPConnection) -> str:
        """Return the nonce of the page, empty for none."""
        return super().find_nonce(request) or str(getattr(request.state, "csp_nonce", ""))

    def _find(
        self, request: HTTPConnection, find_user: Callable[[], Awaitable[User | None]] | None = None
    ) -> AsyncRequestFlow:
        owner, flow = request.scope.get(NAME, (None, None))
        if owner is not self:
            find_user = find_user or (lambda: self.find_user(request))
            flow = self.make_request_flow(request, find_user, lambda: self._find_token_url(request))
            request.scope[NAME] = self, flow
        return cast(AsyncRequestFlow, flow)

    def _find_token_url(self, request: HTTPConnection) -> str:
        try:
            return request.url_for(TOKEN_NAME).path
        except NoMatchFound:  # asked in an application that is mounted by a name, and has it for itself
            return f"{request.scope.get('root_path', '')}{self.site.settings.token_path}"

    # How it is set up

    def _make_router(self) -> Router:
        path = self.site.settings.token_path
        return Router([Route(path, self._give_token, name=TOKEN_NAME)] if path else [], lifespan=self.lifespan)

    def _include(self, app: Starlette) -> None:
        app.router.routes[:0] = self.router.routes  # before those that take every path

    async def _give_token(self, request: Request) -> Response:
        return self._respond(await self.find_user(request))

    def _respond(self, user: User | None) -> Response:
        answer = self.answer_token(user)
        return JSONResponse(answer.body, answer.status, answer.headers)

    def _beside(self, application: ASGIApp) -> ASGIApp:
        """Answer gateways beside the application: none of its filters for browsers, such as CSRF, is asked."""
        answering = self.site.webhook.asgi(application) if self.site.settings.hooks_path is not None else application

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                async with self.lifespan():
                    await answering(scope, receive, send)
            else:
                self.note_loop()  # a server may have no lifespan
                await answering(scope, receive, send)

        return serve


class _EventStreamResponse(Response):
    """An event stream of the gateway, which learns at once that its reader has gone, whatever the server."""

    def __init__(self, stream: ViewStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await self._stream.serve(receive, send, own)
        if self.background is not None:
            await self.background()


class _Answering:
    """The webhook as an object, since Starlette takes a method for a view."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webhook.asgi(scope, receive, send)


def find_authenticated(request: HTTPConnection) -> User | None:
    """Return what Starlette's AuthenticationMiddleware calls who is logged in, None for nobody.

    Raises:
        ConfigurationError: there is none.
    """
    if "user" not in request.scope:
        raise ConfigurationError(NO_LOGIN)
    if not request.user.is_authenticated:
        return None
    try:
        return request.user.identity or None
    except NotImplementedError:  # of a SimpleUser
        return request.user.display_name or None
