"""`{% load messageflow %}{% messageflow %}` and `{% messageflow_html "htmx4" %}`: the script tag of a page, and the
element of one that a library changes, by `integrations.django.page_script`.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import mark_safe

from messageflow.integrations.django.page_script import render_html_stream, render_script
from messageflow.integrations.script_tag import Since

register = template.Library()


@register.simple_tag(takes_context=True)  # type: ignore[untyped-decorator]
def messageflow(context: Any, *, nonce: Any = "", since: Since | None = None) -> Any:
    """Return the script tag, with the nonce of the request unless another is told."""
    request = _find_request(context)
    tag = render_script(request, nonce=str(nonce or context.get("csp_nonce") or ""), since=since)
    return mark_safe(tag)  # whose attributes are escaped, all of them


@register.simple_tag(takes_context=True)  # type: ignore[untyped-decorator]
def messageflow_html(context: Any, library: str, *, channels: Any = (), since: Since | None = None) -> Any:
    """Return the element by which htmx, Turbo or Datastar listens; `channels` are a list, or names apart by spaces."""
    named = channels.split() if isinstance(channels, str) else channels
    return mark_safe(render_html_stream(_find_request(context), library, channels=named, since=since))


def _find_request(context: Any) -> Any:
    return getattr(context, "request", None) or context.get("request")  # with and without its context processor
