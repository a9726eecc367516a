"""What one application has of messageflow, in every framework: its settings, its flow to call and to await, its
webhook, and what its pages are answered.

Owns these. Never a request, and never who is logged in: frameworks differ in both.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from messageflow.errors import ConfigurationError, PublishError
from messageflow.handlers.registry import Handlers
from messageflow.handlers.webhook import Webhook
from messageflow.integrations.app_settings import ToldSettings
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.page_stream import render_stream
from messageflow.integrations.script_tag import Since, render_script_tag
from messageflow.publisher.arguments import User

NAME = "messageflow"
NOBODY = "nobody is logged in"


class TokenAnswer(NamedTuple):
    """What a page is answered that asks for its token; the body is JSON."""

    status: int
    body: dict[str, str]
    headers: dict[str, str]


class Site:
    """What one application has.

    Args:
        settings: it was told.
        handlers: what a gateway elsewhere asks.
        log: of the application, where it has one.

    Raises:
        ConfigurationError: the settings cannot be used.
    """

    def __init__(self, settings: ToldSettings, handlers: Handlers, log: logging.Logger | None = None) -> None:
        self.settings = settings
        self.flow = settings.make_flow()
        self.async_flow = settings.make_async_flow()
        self.webhook = Webhook(handlers, settings.find_hooks_secrets)
        if settings.hooks_path is not None:
            self.webhook.path = settings.hooks_path.rstrip("/")
        self.log = log or logging.getLogger(NAME)

    def answer_token(self, user: User | None, options: Mapping[str, Any] | None = None) -> TokenAnswer:
        """Return the answer for who is logged in: nobody gets 401, since a redirect to a form is no token.

        Args:
            user: what they are called.
            options: what `Flow.token` is told beside that.
        """
        headers = {"Cache-Control": "no-store"}
        if user is None:
            return TokenAnswer(401, {"error": NOBODY}, headers)
        token = self.flow.token(user, **{"ttl": self.settings.ttl, **(options or {})})
        return TokenAnswer(200, {"token": token}, headers)

    def render_script(self, token_url: str | None, since: Since | None, nonce: str) -> str:
        """Return the script tag of a page, escaped.

        Args:
            token_url: where the token view is, as a page finds it; None where there is none.
            since: where the page begins; None for where it connects.
            nonce: of its Content-Security-Policy.
        """
        return render_script_tag(self.settings.script_url or self.flow.script_url, token_url, since, nonce)

    def render_stream(
        self, user: User | None, library: str, channels: Iterable[str] = (), since: Since | None = None
    ) -> MarkupText:
        """Return the element of a page that a library changes; see `page_stream.render_stream`."""
        script_url = self.settings.script_url or ""
        return render_stream(self.flow, user, library, channels=channels, since=since, script_url=script_url)

    def find_position(self, user: User | None, channels: Iterable[str] = ()) -> Since | None:
        """Return where the streams of a user stand; None for nobody, and while the gateway is away."""
        if user is None:
            return None
        try:
            return self.flow.position(user, channels=channels)
        except PublishError as error:
            self._note_away(error)
            return None

    async def afind_position(self, user: User | None, channels: Iterable[str] = ()) -> Since | None:
        """As `find_position`, to be awaited."""
        if user is None:
            return None
        try:
            return await self.async_flow.position(user, channels=channels)
        except PublishError as error:
            self._note_away(error)
            return None

    def revoke(self, user: User) -> None:
        """Cut off who has logged out, on all their pages; those of other devices fetch a new token."""
        try:
            self.flow.revoke(user)
        except PublishError:  # they are logged out all the same, and what they hear ends with the token
            self.log.exception("messageflow: %s logged out and could not be cut off", user)

    def _note_away(self, error: PublishError) -> None:
        self.log.warning("messageflow: this page begins where it connects: %s", error)


def check_functions(**given: Any) -> None:
    """Refuse what is given to `MessageFlow` in the place of a function.

    Raises:
        ConfigurationError: it is none; the message names the argument.
    """
    for name, function in given.items():
        if function is not None and not callable(function):
            raise ConfigurationError(f"MessageFlow({name}=…) takes a function, not a {type(function).__name__}")


def read_name(name: Any) -> User | None:
    """Return what an application calls who is logged in, None for nobody."""
    user: User | None = None if name == "" else name
    return user
