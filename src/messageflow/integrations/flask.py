"""Flask: `MessageFlow(app)` pushes, gives pages their tokens and their script tag, and hears what pages say.

    from messageflow.integrations.flask import MessageFlow

    messageflow = MessageFlow(app)                # or MessageFlow() and init_app(app)
    messageflow.push_current("report/ready", {"id": 7})

Who is logged in is the application's to say: Flask-Login, or the function `user`. Owns what is between Flask and a
`Flow`, for each application: its flow, its token view, its webhook. Never a connection.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from messageflow.errors import ConfigurationError
from messageflow.extras import needing
from messageflow.handlers.function_threads import is_coroutine_function
from messageflow.handlers.registry import Kind
from messageflow.handlers.webhook import Webhook
from messageflow.integrations.app_settings import PREFIX, ToldSettings, read_settings
from messageflow.integrations.current_flow import CurrentFlow
from messageflow.integrations.flask_commands import CommandContext, commands
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.script_tag import Since
from messageflow.integrations.site import NAME, NOBODY, Site, check_functions, read_name
from messageflow.publisher.arguments import User
from messageflow.publisher.flow import Flow
from messageflow.publisher.results import Receipt
from messageflow.typed.kinds import find_type
from messageflow.typed.message import TypedMessage

with needing("messageflow.integrations.flask", "flask"):
    import flask
    from flask.ctx import AppContext
    from flask.typing import ResponseReturnValue
    from markupsafe import Markup

NO_LOGIN = (
    "MessageFlow cannot tell who is logged in: give it MessageFlow(user=function), set up Flask-Login, or set "
    f"{PREFIX}TOKEN_PATH to None where the application has a token view of its own"
)


class Installed(NamedTuple):
    """What one application has."""

    owner: MessageFlow
    app: flask.Flask
    site: Site

    def make_command_context(self) -> CommandContext:
        """Return what `flask messageflow …` works with."""
        return CommandContext(self.site.flow, self.site.settings, self.owner.describe_login())


class MessageFlow(CurrentFlow):
    """All of `Flow`, for the current application, and what Flask gives it to do.

    Settings are `MESSAGEFLOW_…` of the application's configuration; see `integrations.app_settings`.

    Args:
        app: to begin with; else `init_app` does, for one or several.
        user: returns the name of who is logged in in this request, None for nobody; else Flask-Login is asked.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: returns the nonce of this response's Content-Security-Policy; else Flask-Talisman's `csp_nonce` is asked.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        user: Callable[[], User | None] | None = None,
        token_options: Callable[[User], Mapping[str, Any]] | None = None,
        nonce: Callable[[], str] | None = None,
    ) -> None:
        check_functions(user=user, token_options=token_options, nonce=nonce)
        self._user = user
        self._token_options = token_options
        self._nonce = nonce
        self._last: Installed | None = None
        self._is_ambiguous = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Give an application its token view, its script tag, its webhook and its commands.

        Raises:
            ConfigurationError: a setting cannot be used; the message names it.
        """
        if NAME in app.extensions:
            raise ConfigurationError("this application has a MessageFlow already: one is enough for all blueprints")
        settings = read_settings(app.config, os.environ)
        installed = Installed(self, app, Site(settings, self.handlers, app.logger))
        if self._last is not None and self._last.site.settings != settings:
            self._is_ambiguous = True
        self._check_login(settings)
        app.extensions[NAME] = self._last = installed
        blueprint = flask.Blueprint(NAME, __name__)
        if settings.token_path is not None:
            blueprint.add_url_rule(settings.token_path, "token", self._give_token)
        app.register_blueprint(blueprint)
        app.cli.add_command(commands)
        app.jinja_env.globals |= {f"{NAME}_script": self.script, f"{NAME}_html": self.html_stream}
        if settings.hooks_path is not None:
            _mount(installed)
        if settings.revoke_on_logout:
            self._revoke_on_logout(app)

    @property
    def installed(self) -> Installed:
        """What the current application has; outside of one, what the only one has.

        Raises:
            RuntimeError: there is none, or there are several that were told different things.
        """
        if flask.has_app_context():
            found = flask.current_app.extensions.get(NAME)
            if isinstance(found, Installed) and found.owner is self:
                return found
            raise RuntimeError(f"{flask.current_app.name} does not have this MessageFlow: call init_app(app)")
        if self._last is None:
            raise RuntimeError("this MessageFlow has no application yet: MessageFlow(app), or init_app(app)")
        if self._is_ambiguous:
            raise RuntimeError("several applications have this MessageFlow: call it inside `with app.app_context():`")
        return self._last

    @property
    def flow(self) -> Flow:
        """The flow of the current application."""
        return self.installed.site.flow

    @property
    def webhook(self) -> Webhook:
        """What a gateway elsewhere asks the handlers of this by; mounted by `init_app`."""
        return self.installed.site.webhook

    # Who is there

    def find_user(self) -> User | None:
        """Return the name of who is logged in in this request, None for nobody.

        Raises:
            ConfigurationError: the application has not said how to tell.
        """
        if self._user is not None:
            return read_name(self._user())
        if not hasattr(flask.current_app, "login_manager"):
            raise ConfigurationError(NO_LOGIN)
        from flask_login import current_user

        return current_user.get_id() if current_user.is_authenticated else None

    def describe_login(self) -> str:
        """Return how it is known who is logged in; empty where it is not."""
        if self._user is not None:
            return f"the function {getattr(self._user, '__qualname__', self._user)}"
        return "Flask-Login" if hasattr(flask.current_app, "login_manager") else ""

    def push_current(
        self, type: str | TypedMessage, payload: Any = None, *, idempotency_key: str | None = None
    ) -> Receipt:
        """Push to who is logged in in this request. Arguments, result and errors as in `Flow.push`.

        Raises:
            LookupError: nobody is.
        """
        user = self.find_user()
        if user is None:
            raise LookupError(f"push_current({find_type(type)!r}): {NOBODY}")
        return self.flow.push(user, type, payload, idempotency_key=idempotency_key)

    def _give_token(self) -> ResponseReturnValue:
        user = self.find_user()
        options = self._token_options(user) if self._token_options is not None and user is not None else None
        answer = self.installed.site.answer_token(user, options)
        return answer.body, answer.status, answer.headers

    # What a page is given

    def mark_position(self, channels: Iterable[str] = ()) -> None:
        """Note where the streams of who is logged in stand, for the script tag of the page that is being made.

        Call it before the view reads what the page shows: all that is pushed afterwards arrives there. Where the
        gateway is away the page begins where it connects.

        Args:
            channels: further ones that the page will hear.
        """
        flask.g._messageflow_since = self._find_position(channels)

    def script(self, *, nonce: str | None = None, since: Since | None = None) -> Markup:
        """Return the script tag: `{{ messageflow_script() }}` in a template.

        Args:
            nonce: of the Content-Security-Policy; else it is asked for.
            since: where the page begins; else as `mark_position` noted it, else now.
        """
        if since is None:
            since = flask.g._messageflow_since if "_messageflow_since" in flask.g else self._find_position()
        site = self.installed.site
        token_url = None if site.settings.token_path is None else _find_token_url(site.settings.token_path)
        return Markup(site.render_script(token_url, since, self._find_nonce() if nonce is None else nonce))

    def html_stream(self, library: str, *, channels: Iterable[str] = (), since: Since | None = None) -> MarkupText:
        """Return the element by which htmx, Turbo or Datastar listens: `{{ messageflow_html("htmx4") }}` in a template.

        Args:
            library: `htmx2`, `htmx4`, `turbo` or `datastar`.
            channels: what the page hears beside what is pushed to who is logged in.
            since: where the page begins; else as `mark_position` noted it, else now.
        """
        named = list(channels)
        if since is None:
            since = flask.g._messageflow_since if "_messageflow_since" in flask.g else self._find_position(named)
        return self.installed.site.render_stream(self.find_user(), library, named, since)

    def _find_position(self, channels: Iterable[str] = ()) -> Since | None:
        return self.installed.site.find_position(self.find_user() if self.describe_login() else None, channels)

    def _find_nonce(self) -> str:
        nonce = self._nonce or flask.current_app.jinja_env.globals.get("csp_nonce")
        return str(nonce()) if callable(nonce) else ""

    # How it is set up

    def _check_login(self, settings: ToldSettings) -> None:
        """Refuse to begin where nobody could ever be given a token; Flask-Login may be set up later than this."""
        if self._user is None and settings.token_path is not None and not _has_flask_login():
            raise ConfigurationError(NO_LOGIN)

    def _revoke_on_logout(self, app: flask.Flask) -> None:
        if not _has_flask_login():
            return
        from flask_login import user_logged_out

        def revoke(_: flask.Flask, user: Any, **__: Any) -> None:
            if name := user.get_id():
                app.extensions[NAME].site.revoke(name)

        user_logged_out.connect(revoke, app, weak=False)

    # Handlers, which run in the application's context wherever they are asked

    def _add(self, kind: Kind, key: str, function: Any, written: str) -> Any:
        super()._add(kind, key, self._in_context(function) if callable(function) else function, written)
        return function

    def _in_context(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if is_coroutine_function(function):

            @functools.wraps(function)
            async def call_async(event: Any) -> Any:
                with self._make_context():
                    return await function(event)

            return call_async

        @functools.wraps(function)
        def call(event: Any) -> Any:
            with self._make_context():
                return function(event)

        return call

    def _make_context(self) -> AppContext:
        return (flask.current_app if flask.has_app_context() else self.installed.app).app_context()


def _mount(installed: Installed) -> None:
    """Answer gateways beside the application: none of its filters for browsers, such as CSRF, is asked."""
    beside, app, webhook = installed.app.wsgi_app, installed.app, installed.site.webhook

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").rstrip("/") != webhook.path:
            return beside(environ, start_response)
        with app.app_context():
            return webhook.wsgi(environ, start_response)

    app.wsgi_app = serve  # type: ignore[method-assign]


def _find_token_url(path: str) -> str:
    return flask.url_for(f"{NAME}.token") if flask.has_request_context() else path


def _has_flask_login() -> bool:
    try:
        import flask_login  # noqa: F401
    except ImportError:
        return False
    return True
