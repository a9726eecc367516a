"""What a page is given: its script tag, with where its token comes from and where its streams stood.

Owns one note in a request. Never a connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.urls import NoReverseMatch, reverse

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.logins import name_user
from messageflow.integrations.django.project_flow import find_project, refuse_to_block
from messageflow.integrations.markup_text import MarkupText
from messageflow.integrations.script_tag import Since

NOTE = "_messageflow_since"
USER_NOTE = "_messageflow_user"
NOT_INCLUDED = 'include messageflow in urlpatterns: path("", include("messageflow.integrations.django.urls"))'


def mark_position(request: Any, channels: Iterable[str] = ()) -> None:
    """Note where the streams of who is logged in stand, for the script tag of the page that is being made.

    Call it before the view reads what the page shows: all that is pushed afterwards arrives there. Where the gateway
    is away the page begins where it connects.

    Args:
        request: for which the page is made.
        channels: further ones that the page will hear.
    """
    refuse_to_block("mark_position", "await amark_position(request)")
    user = name_user(getattr(request, "user", None))
    setattr(request, USER_NOTE, user)
    setattr(request, NOTE, find_project().site.find_position(user, channels))


async def amark_position(request: Any, channels: Iterable[str] = ()) -> None:
    """As `mark_position`, in an async view. Cancelled, it has noted nothing."""
    user = name_user(await request.auser())
    setattr(request, USER_NOTE, user)
    setattr(request, NOTE, await find_project().site.afind_position(user, channels))


def render_script(request: Any, *, nonce: str = "", since: Since | None = None) -> str:
    """Return the script tag.

    Args:
        request: for which the page is made; None for a template without one.
        nonce: of the Content-Security-Policy; else that of the request.
        since: where the page begins; else as it was marked, else now. That of an async view which did not mark it
            begins where it connects, since a template cannot wait.
    """
    site = find_project().site
    token_url = None if site.settings.token_path is None else find_token_url()
    if since is None and request is not None:
        since = _find_since(request)
    own = nonce or getattr(request, "csp_nonce", "")
    return site.render_script(token_url, since, str(own))


def render_html_stream(
    request: Any, library: str, *, channels: Iterable[str] = (), since: Since | None = None
) -> MarkupText:
    """Return the element by which htmx, Turbo or Datastar listens.

    Args:
        request: for which the page is made; None for a template without one, which is nobody's.
        library: `htmx2`, `htmx4`, `turbo` or `datastar`.
        channels: what the page hears beside what is pushed to who is logged in.
        since: as in `render_script`.
    """
    named = list(channels)
    if since is None and request is not None:
        since = _find_since(request, named)
    user = getattr(request, USER_NOTE) if hasattr(request, USER_NOTE) else name_user(getattr(request, "user", None))
    return find_project().site.render_stream(user, library, named, since)


def find_token_url() -> str:
    """Return where pages fetch their token.

    Raises:
        ConfigurationError: the project has not included our addresses.
    """
    try:
        url: str = reverse("messageflow:token")
    except NoReverseMatch as error:
        raise ConfigurationError(NOT_INCLUDED) from error
    return url


def _find_since(request: Any, channels: Iterable[str] = ()) -> Since | None:
    if not hasattr(request, NOTE):
        try:
            mark_position(request, channels)
        except SynchronousOnlyOperation:
            return None
    since: Since | None = getattr(request, NOTE)
    return since
