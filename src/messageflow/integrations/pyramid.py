"""Pyramid: `config.include("messageflow.integrations.pyramid")` gives requests a flow, and pages their token.

    def order_report(request):
        request.messageflow.push_current("report/ready", {"id": 7})

Settings are `messageflow.…` of the application's. Who is logged in is its to say: its security policy, or the function
`user`. Owns what is between Pyramid and a `Flow`, for each application. Never a connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from messageflow.errors import ConfigurationError
from messageflow.extras import needing
from messageflow.integrations.app_settings import read_settings
from messageflow.integrations.current_flow import CurrentFlow
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.request_flow import RequestFlow, RequestPage
from messageflow.integrations.site import NAME, Site, check_functions, read_name
from messageflow.publisher.arguments import User
from messageflow.publisher.flow import Flow

with needing("messageflow.integrations.pyramid", "pyramid"):
    from pyramid.events import ApplicationCreated, BeforeRender
    from pyramid.interfaces import ISecurityPolicy
    from pyramid.security import NO_PERMISSION_REQUIRED
    from pyramid.threadlocal import get_current_registry

PREFIX = f"{NAME}."
TOKEN_ROUTE, HOOKS_ROUTE = f"{NAME}_token", f"{NAME}_hooks"
FUNCTIONS = ("user", "token_options", "nonce")
NO_LOGIN = (
    "messageflow cannot tell who is logged in: give the application a security policy, or MessageFlow(user=function), "
    "or set messageflow.token_path to none where it has a token view of its own"
)


class _Functions(NamedTuple):
    """What the application has said in functions, each None where it has not."""

    user: Callable[[Any], Any] | None
    token_options: Callable[[User], Mapping[str, Any]] | None
    nonce: Callable[[Any], str] | None


class _Included(NamedTuple):
    """What one application has."""

    owner: MessageFlow
    site: Site
    functions: _Functions


class MessageFlow(CurrentFlow):
    """All of `Flow`, for the current application: for handlers, and for what is no request.

    `config.include(messageflow.includeme)` includes it. The functions may be settings as well, by their dotted names.

    Args:
        user: takes a request, and returns the name of who is logged in, None for nobody; else
            `request.authenticated_userid` is asked.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: takes a request, and returns the nonce of this response's Content-Security-Policy; else
            `request.csp_nonce` is taken, where it is there.
    """

    def __init__(
        self,
        *,
        user: Callable[[Any], Any] | None = None,
        token_options: Callable[[User], Mapping[str, Any]] | None = None,
        nonce: Callable[[Any], str] | None = None,
    ) -> None:
        check_functions(user=user, token_options=token_options, nonce=nonce)
        self._functions = _Functions(user, token_options, nonce)
        self._last: _Included | None = None
        self._is_ambiguous = False

    def includeme(self, config: Any) -> None:
        """Give an application `request.messageflow`, its token view, its webhook and its script tag.

        Raises:
            ConfigurationError: a setting cannot be used; the message names it.
        """
        told = dict(config.get_settings())
        given = {name: config.maybe_dotted(told.pop(PREFIX + name, None)) for name in FUNCTIONS}
        check_functions(**given)
        functions = self._functions._replace(**{name: each for name, each in given.items() if each is not None})
        site = Site(read_settings(told, os.environ, prefix=PREFIX), self.handlers)
        self._is_ambiguous |= self._last is not None and self._last.site.settings != site.settings
        config.registry[NAME] = self._last = included = _Included(self, site, functions)
        config.add_request_method(lambda request: _make_request_flow(included, request), NAME, reify=True)
        config.add_subscriber(_give_script, BeforeRender)
        if site.settings.token_path is not None:
            config.add_subscriber(_check_login, ApplicationCreated)
            config.add_route(TOKEN_ROUTE, site.settings.token_path)
            config.add_view(_give_token, route_name=TOKEN_ROUTE, renderer="json", permission=NO_PERMISSION_REQUIRED)
        if site.settings.hooks_path is not None:
            config.add_route(HOOKS_ROUTE, site.settings.hooks_path)
            config.add_view(
                lambda request: request.get_response(site.webhook.wsgi),
                route_name=HOOKS_ROUTE,
                permission=NO_PERMISSION_REQUIRED,
                require_csrf=False,
            )

    @property
    def flow(self) -> Flow:
        """The flow of the current application; outside of one, of the only one.

        Raises:
            RuntimeError: there is none, or there are several that were told different things.
        """
        found = get_current_registry().get(NAME)
        if found is not None and found.owner is self:
            flow: Flow = found.site.flow
            return flow
        if self._last is None:
            raise RuntimeError("this MessageFlow has no application yet: config.include(messageflow.includeme)")
        if self._is_ambiguous:
            raise RuntimeError("several applications have this MessageFlow: call request.messageflow")
        return self._last.site.flow


def includeme(config: Any) -> None:
    """Include it by the name of this module, for an application that has no handlers."""
    MessageFlow().includeme(config)


def _make_request_flow(included: _Included, request: Any) -> RequestFlow:
    functions = included.functions

    def find_user() -> User | None:
        return read_name(request.authenticated_userid if functions.user is None else functions.user(request))

    def find_nonce() -> str:
        told = functions.nonce(request) if functions.nonce is not None else getattr(request, "csp_nonce", "")
        return str(told or "")

    page = RequestPage(included.site, lambda: str(request.route_path(TOKEN_ROUTE)), find_nonce)
    return RequestFlow(page, find_user)


def _give_token(request: Any) -> dict[str, str]:
    included: _Included = request.registry[NAME]
    user, find_options = request.messageflow.find_user(), included.functions.token_options
    options = None if user is None or find_options is None else find_options(user)
    answer = included.site.answer_token(user, options)
    request.response.status_int = answer.status
    request.response.headers.update(answer.headers)
    return answer.body


def _give_script(event: Any) -> None:
    """Give each template `messageflow_script()` and `messageflow_html("htmx4")`."""
    request = event.get("request")
    if request is not None:
        event[f"{NAME}_script"] = lambda **told: MarkupText(request.messageflow.script(**told))
        event[f"{NAME}_html"] = lambda library, **told: request.messageflow.html_stream(library, **told)


def _check_login(event: Any) -> None:
    """Refuse to begin where nobody could ever be given a token."""
    registry = event.app.registry
    if registry[NAME].functions.user is None and registry.queryUtility(ISecurityPolicy) is None:
        raise ConfigurationError(NO_LOGIN)
