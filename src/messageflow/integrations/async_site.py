"""What `MessageFlow` is in all frameworks whose views run on an event loop: Starlette, FastAPI, Litestar, Tornado.

Such frameworks have no configuration of their own: settings are arguments, or the environment.

Owns the flow and the handlers of one application, and says which loops serve it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from messageflow.integrations.app_settings import name_settings, read_settings
from messageflow.integrations.current_flow import CurrentAsyncFlow
from messageflow.integrations.event_stream import ViewStream, read_request
from messageflow.integrations.request_flow import AsyncRequestFlow, RequestPage
from messageflow.integrations.site import Site, TokenAnswer, check_functions, read_name
from messageflow.publisher.arguments import User
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.flow import Flow
from messageflow.publisher.served_loops import note_served


class AsyncSite(CurrentAsyncFlow):
    """All of `AsyncFlow`, and what a framework needs to serve pages. Each derives from it.

    Args:
        user: takes a request, and returns the name of who is logged in, None for nobody; may be a coroutine function.
        token_options: takes that name, and returns what `Flow.token` is to be told beside it, such as `allow`.
        nonce: takes a request, and returns the nonce of its Content-Security-Policy.
        settings: such as `{"URL": …}`; what is not told is found in the environment, `MESSAGEFLOW_URL`.

    Raises:
        ConfigurationError: a setting cannot be used; the message names it.
    """

    def __init__(
        self,
        *,
        user: Callable[..., Any] | None = None,
        token_options: Callable[[User], Mapping[str, Any]] | None = None,
        nonce: Callable[[Any], str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        check_functions(user=user, token_options=token_options, nonce=nonce)
        self._user = user
        self._token_options = token_options
        self._nonce = nonce
        self.site = Site(read_settings(name_settings(settings or {}), os.environ), self.handlers)

    @property
    def async_flow(self) -> AsyncFlow:
        """The flow, to await: `messageflow` itself has all its methods."""
        return self.site.async_flow

    @property
    def flow(self) -> Flow:
        """The flow, for functions that run on threads."""
        return self.site.flow

    def make_request_flow(
        self, request: Any, find_user: Callable[[], Awaitable[User | None]], find_token_url: Callable[[], str]
    ) -> AsyncRequestFlow:
        """Return the flow of a request, which the framework keeps with it.

        Args:
            request: as the framework has it.
            find_user: returns who is logged in.
            find_token_url: returns where the page that is made fetches its token.
        """
        page = RequestPage(self.site, find_token_url, lambda: self.find_nonce(request))
        return AsyncRequestFlow(page, find_user)

    async def find_user(self, request: Any) -> User | None:
        """Return the name of who is logged in, as the application tells it, None for nobody."""
        assert self._user is not None
        name = self._user(request)
        return read_name(await name if inspect.isawaitable(name) else name)

    def find_nonce(self, request: Any) -> str:
        """Return the nonce of the page, empty for none."""
        return "" if self._nonce is None else str(self._nonce(request) or "")

    def answer_token(self, user: User | None) -> TokenAnswer:
        """Return what the token view answers."""
        options = None if user is None or self._token_options is None else self._token_options(user)
        return self.site.answer_token(user, options)

    def make_event_stream(
        self, request: Any, user: User | None, channels: Iterable[str], ttl: timedelta | float | None
    ) -> ViewStream:
        """Return the gateway's event stream for a request, to be answered; arguments as in `ViewStream`."""
        return ViewStream(self.site, user, channels, ttl, read_request(request, request.query_params))

    def note_loop(self) -> None:
        """Let no `Flow` hold up the loop that this runs on: it serves the application."""
        note_served(asyncio.get_running_loop())

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """Accompany the application from its start to its end, for one that is put together by hand."""
        self.note_loop()
        try:
            yield
        finally:
            await self.async_flow.close()
