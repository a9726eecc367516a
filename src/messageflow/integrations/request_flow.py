"""The flow of one request, where frameworks hand requests on: all that a flow has, and what is about who is there.

Owns what was asked of one request: where its page begins. Never asks who is there before somebody wants to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from messageflow.handlers.decorators import Decorators
from messageflow.integrations.current_flow import require_public
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.script_tag import Since
from messageflow.integrations.site import NOBODY, Site
from messageflow.publisher.arguments import User
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.flow import Flow
from messageflow.publisher.results import Receipt
from messageflow.typed.kinds import find_type
from messageflow.typed.message import TypedMessage

if TYPE_CHECKING:
    _Methods = Flow
    _AsyncMethods = AsyncFlow
else:
    _Methods = _AsyncMethods = object


class RequestPage:
    """The page that one request is answered with.

    Args:
        site: of the application.
        find_token_url: returns where the page fetches its token.
        find_nonce: returns the nonce of its Content-Security-Policy, empty for none.
    """

    def __init__(self, site: Site, find_token_url: Callable[[], str], find_nonce: Callable[[], str]) -> None:
        self.site = site
        self.since: Since | None = None
        self.is_marked = False
        self.user: User | None = None  # whom it was marked for
        self._find_token_url = find_token_url
        self._find_nonce = find_nonce

    def mark(self, user: User | None, since: Since | None) -> None:
        """Note whom the page is for, and where it begins."""
        self.user, self.since, self.is_marked = user, since, True

    def render_stream(
        self, user: User | None, library: str, channels: Iterable[str], since: Since | None
    ) -> MarkupText:
        """Return the element by which a library listens."""
        return self.site.render_stream(user, library, channels, self.since if since is None else since)

    def render(self, nonce: str | None = None, since: Since | None = None) -> str:
        """Return the script tag, escaped."""
        told = self._find_nonce() if nonce is None else nonce
        token_url = None if self.site.settings.token_path is None else self._find_token_url()
        return self.site.render_script(token_url, self.since if since is None else since, told)


class RequestFlow(_Methods):
    """The flow of a request that is answered on a thread.

    Args:
        page: that it is answered with.
        find_user: returns what the application calls who is logged in, None for nobody.
    """

    def __init__(self, page: RequestPage, find_user: Callable[[], User | None]) -> None:
        self._page = page
        self.find_user = find_user

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            _require_of_request(self, name, Flow)
            return getattr(self._page.site.flow, name)

    def push_current(
        self, type: str | TypedMessage, payload: Any = None, *, idempotency_key: str | None = None
    ) -> Receipt:
        """Push to who is logged in in this request. Arguments, result and errors as in `Flow.push`.

        Raises:
            LookupError: nobody is.
        """
        user = _require_user(self.find_user(), type)
        return self._page.site.flow.push(user, type, payload, idempotency_key=idempotency_key)

    def mark_position(self, channels: Iterable[str] = ()) -> None:
        """Note where the streams of who is logged in stand, for the script tag of the page that is being made.

        Call it before the view reads what the page shows: all that is pushed afterwards arrives there. Where the
        gateway is away the page begins where it connects.

        Args:
            channels: further ones that the page will hear.
        """
        user = self.find_user()
        self._page.mark(user, self._page.site.find_position(user, channels))

    def script(self, *, nonce: str | None = None, since: Since | None = None) -> str:
        """Return the script tag, escaped.

        Args:
            nonce: of the Content-Security-Policy; else it is asked for.
            since: where the page begins; else as `mark_position` noted it, else now.
        """
        if since is None and not self._page.is_marked:
            self.mark_position()
        return self._page.render(nonce, since)

    def html_stream(self, library: str, *, channels: Iterable[str] = (), since: Since | None = None) -> MarkupText:
        """Return the element by which htmx, Turbo or Datastar listens; nothing where nobody is logged in.

        Args:
            library: `htmx2`, `htmx4`, `turbo` or `datastar`.
            channels: what the page hears beside what is pushed to who is logged in.
            since: where the page begins; else as `mark_position` noted it, else now.
        """
        named = list(channels)
        if since is None and not self._page.is_marked:
            self.mark_position(named)
        return self._page.render_stream(self.find_user(), library, named, since)


class AsyncRequestFlow(_AsyncMethods):
    """The flow of a request that is answered on an event loop; its methods are awaited, but for `script`.

    Args:
        page: that it is answered with.
        find_user: returns what the application calls who is logged in, None for nobody.
    """

    def __init__(self, page: RequestPage, find_user: Callable[[], Awaitable[User | None]]) -> None:
        self._page = page
        self.find_user = find_user

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            _require_of_request(self, name, AsyncFlow)
            return getattr(self._page.site.async_flow, name)

    async def push_current(
        self, type: str | TypedMessage, payload: Any = None, *, idempotency_key: str | None = None
    ) -> Receipt:
        """As `RequestFlow.push_current`."""
        user = _require_user(await self.find_user(), type)
        return await self._page.site.async_flow.push(user, type, payload, idempotency_key=idempotency_key)

    async def mark_position(self, channels: Iterable[str] = ()) -> None:
        """As `RequestFlow.mark_position`. Cancelled, it has noted nothing."""
        user = await self.find_user()
        self._page.mark(user, await self._page.site.afind_position(user, channels))

    def script(self, *, nonce: str | None = None, since: Since | None = None) -> str:
        """Return the script tag, escaped; of a page that was not marked it begins where it connects.

        Args:
            nonce: of the Content-Security-Policy; else it is asked for.
            since: where the page begins; else as `mark_position` noted it.
        """
        return self._page.render(nonce, since)

    def html_stream(self, library: str, *, channels: Iterable[str] = (), since: Since | None = None) -> MarkupText:
        """As `RequestFlow.html_stream`; of a page that was not marked it begins where it connects.

        Raises:
            LookupError: who is logged in takes an await to find out, and the page was not marked.
        """
        user = self._page.user if self._page.is_marked else _find_now(self.find_user())
        return self._page.render_stream(user, library, channels, since)


def _require_of_request(asked: object, name: str, kind: type) -> None:
    """Raise for what no request has: handlers are written once, above the application."""
    require_public(asked, name, object if hasattr(Decorators, name) else kind)


def _find_now(finding: Awaitable[User | None]) -> User | None:
    """Return who is logged in, where nothing has to be awaited for it."""
    steps = finding.__await__()
    try:
        next(steps)
    except StopIteration as found:
        user: User | None = found.value
        return user
    steps.close()
    raise LookupError("await mark_position() before the page is made: who is logged in is not known without waiting")


def _require_user(user: User | None, type: str | TypedMessage) -> User:
    if user is None:
        raise LookupError(f"push_current({find_type(type)!r}): {NOBODY}")
    return user
