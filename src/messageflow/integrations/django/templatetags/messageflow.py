"""`{% load messageflow %}{% messageflow %}`: the script tag of a page, by `integrations.django.page_script`."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import mark_safe

from messageflow.integrations.django.page_script import render_script
from messageflow.integrations.script_tag import Since

register = template.Library()


@register.simple_tag(takes_context=True)  # type: ignore[untyped-decorator]
def messageflow(context: Any, *, nonce: Any = "", since: Since | None = None) -> Any:
    """Return the script tag, with the nonce of the request unless another is told."""
    request = getattr(context, "request", None) or context.get("request")  # with and without its context processor
    tag = render_script(request, nonce=str(nonce or context.get("csp_nonce") or ""), since=since)
    return mark_safe(tag)  # whose attributes are escaped, all of them
