"""Tornado: `MessageFlow(app, handler=BaseHandler)` gives pages their tokens and their script tag, and hears them.

    from messageflow.integrations.tornado import MessageFlow, MessageFlowMixin

    class OrderReport(MessageFlowMixin, BaseHandler):
        async def post(self):
            await self.messageflow.push_current("report/ready", {"id": 7})

Who is logged in is the application's to say: `current_user` of its own handlers, or the function `user`. Owns what is
between Tornado and an `AsyncFlow`. Never a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, cast

from messageflow.errors import ConfigurationError
from messageflow.extras import needing
from messageflow.integrations.async_site import AsyncSite
from messageflow.integrations.request_flow import AsyncRequestFlow
from messageflow.integrations.script_tag import Since
from messageflow.integrations.site import NAME, NOBODY, read_name
from messageflow.publisher.arguments import User

with needing("messageflow.integrations.tornado", "tornado"):
    from tornado.web import Application, RequestHandler, UIModule

NO_LOGIN = (
    "MessageFlow cannot tell who is logged in: give it MessageFlow(handler=…), the class that all your handlers derive "
    "from, or MessageFlow(user=function), or set MESSAGEFLOW_TOKEN_PATH to None where you have a token view of your own"
)


class MessageFlow(AsyncSite):
    """All of `AsyncFlow`, and what it gives an application to do.

    Args:
        app: to begin with; else `init_app` does.
        handler: the class that the application's handlers derive from. The token view does too, so that its `prepare`
            and its `get_current_user` say who is logged in.
        user: takes a handler, and returns the name of who is logged in, None for nobody; may be a coroutine function.
            Else `current_user` is asked.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: takes a handler, and returns the nonce of this response's Content-Security-Policy; else
            `handler.csp_nonce` is taken, where it is there.
        settings: such as `{"URL": …}`; what is not told is found in the environment, `MESSAGEFLOW_URL`.

    Raises:
        ConfigurationError: a setting cannot be used; the message names it.
    """

    def __init__(
        self,
        app: Application | None = None,
        *,
        handler: type[RequestHandler] = RequestHandler,
        user: Callable[..., Any] | None = None,
        token_options: Callable[[User], Mapping[str, Any]] | None = None,
        nonce: Callable[[Any], str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(user=user, token_options=token_options, nonce=nonce, settings=settings)
        if user is None and handler is RequestHandler and self.site.settings.token_path is not None:
            raise ConfigurationError(NO_LOGIN)
        self._handler = handler
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Application) -> None:
        """Give an application its token view, its webhook and `{% module messageflow_script() %}`.

        Raises:
            ConfigurationError: it has one already.
        """
        if NAME in app.settings:
            raise ConfigurationError("this application has a MessageFlow already: one is enough for all handlers")
        app.settings[NAME] = self
        told = self.site.settings
        views = ((told.token_path, _make_token_handler(self._handler)), (told.hooks_path, _HooksHandler))
        app.add_handlers(r".*", [(path, view) for path, view in views if path is not None])
        app.ui_modules |= {f"{NAME}_script": _Script, f"{NAME}_html": _Html}
        self._watch(app)

    def for_request(self, handler: RequestHandler) -> AsyncRequestFlow:
        """Return the flow of a request: all of `AsyncFlow`, `push_current`, `mark_position` and `script`."""
        flow = handler.__dict__.get(f"_{NAME}")
        if flow is None:
            path = self.site.settings.token_path or ""
            flow = self.make_request_flow(handler, lambda: self.find_user(handler), lambda: path)
            handler.__dict__[f"_{NAME}"] = flow
        return cast(AsyncRequestFlow, flow)

    async def find_user(self, handler: RequestHandler) -> User | None:
        """Return the name of who is logged in, None for nobody."""
        name = await super().find_user(handler) if self._user is not None else handler.current_user
        return read_name(name.decode() if isinstance(name, bytes) else name)  # as a signed cookie is read

    def find_nonce(self, handler: RequestHandler) -> str:
        """Return the nonce of the page, empty for none."""
        return super().find_nonce(handler) or str(getattr(handler, "csp_nonce", ""))

    def _watch(self, app: Application) -> None:
        """Note the loop that requests come on, which need not run yet."""
        find = app.find_handler

        def find_handler(request: Any, **told: Any) -> Any:
            self.note_loop()
            return find(request, **told)

        app.find_handler = find_handler  # type: ignore[method-assign]


class MessageFlowMixin:
    """Gives handlers `self.messageflow`."""

    settings: dict[str, Any]

    @property
    def messageflow(self) -> AsyncRequestFlow:
        """The flow of this request: all of `AsyncFlow`, `push_current`, `mark_position` and `script`."""
        return _find(cast(RequestHandler, self)).for_request(cast(RequestHandler, self))


class _Script(UIModule):
    def render(self, *, nonce: str | None = None, since: Since | None = None) -> str:
        return _find(self.handler).for_request(self.handler).script(nonce=nonce, since=since)


class _Html(UIModule):
    def render(self, library: str, *, channels: Iterable[str] = (), since: Since | None = None) -> str:
        return _find(self.handler).for_request(self.handler).html_stream(library, channels=channels, since=since)


def _find(handler: RequestHandler) -> MessageFlow:
    found = handler.settings.get(NAME)
    if not isinstance(found, MessageFlow):
        raise RuntimeError("this application has no MessageFlow yet: MessageFlow(app, handler=…), or init_app(app)")
    return found


def _make_token_handler(base: type[RequestHandler]) -> type[RequestHandler]:
    """Return the token view, a handler of the application's own kind."""

    class TokenHandler(base):  # type: ignore[misc, valid-type]
        async def get(self) -> None:
            messageflow = _find(self)
            answer = messageflow.answer_token(await messageflow.find_user(self))
            self.set_status(answer.status)
            for name, value in answer.headers.items():
                self.set_header(name, value)
            self.finish(answer.body)

        def redirect(self, *_: Any, **__: Any) -> None:
            """Send nobody elsewhere: a redirect to a page with a form is no token."""
            self.set_status(401)
            self.finish({"error": NOBODY})

    return TokenHandler


class _HooksHandler(RequestHandler):
    """What a gateway elsewhere asks."""

    def check_xsrf_cookie(self) -> None:
        """Ask for none: gateways sign."""

    async def post(self) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.request.headers.get_all()]

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": self.request.body}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.set_status(message["status"])
                for name, value in message["headers"]:
                    self.set_header(name.decode(), value.decode())
            else:
                self.finish(message["body"])

        await _find(self).site.webhook.asgi({"type": "http", "method": "POST", "headers": headers}, receive, send)
