"""What `messageflow run` knows of frameworks: which route tables can be read, and who serves Django's static files.

Only frameworks that the application itself has imported are looked at, and only objects of their own types: any other
object may do anything when it is asked for its routes.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

_HELD_AS = ("app", "application", "wsgi_app", "wsgi_application")  # what middleware calls what it wraps
_DEEPEST = 32  # layers of middleware that are looked through
_REST = "{path:path}"
_PARAMETER = re.compile(r"[<{(\[]")
_WHOLE = re.compile(r"<path:|<re_path|:path}|\.\*|\.\+")
_OF_INTEGRATIONS = "messageflow.integrations."
_WEBHOOKS = {("starlette", "_Answering"), ("django.views", "hooks")}  # views of integrations, by module and name


def find_layers(application: object) -> Iterator[object]:
    """Yield an application and what its middleware holds, without asking any of them."""
    waiting, seen = [application], set[int]()
    while waiting and len(seen) < _DEEPEST:
        layer = waiting.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        held = getattr(layer, "__dict__", None) or {}
        waiting += [held[name] for name in _HELD_AS if callable(held.get(name))]
        protocols = held.get("application_mapping")  # of Channels
        waiting += protocols.values() if isinstance(protocols, dict) else ()


def find_routes(application: object) -> Iterator[str]:
    """Yield the routes of an application as it wrote them, where its framework is known.

    Those of Django are imported for it, as its first request would. The webhook of an integration is left out: gateways
    elsewhere ask it, and one in the same process calls the handlers.
    """
    for layer in find_layers(application):
        for read in (_find_in_starlette, _find_in_flask, _find_in_django):
            yield from read(layer)


def covers(route: str, kept: str) -> bool:
    """Whether a route was written for a path that is kept, or, where that ends with a slash, for one below it.

    A route that takes any path whatever, as that of a page that routes by itself, was not.
    """
    if route.endswith("/") and not kept.endswith("/"):
        return False
    wanted, written = kept.strip("/").split("/"), route.strip("/").split("/")
    named = False
    for number, part in enumerate(wanted):
        if number == len(written):
            return False
        if _WHOLE.search(written[number]):
            return named
        if written[number] == part:
            named = True
        elif not _PARAMETER.search(written[number]):
            return False
    below = len(written) > len(wanted) or (route.endswith("/") and len(written) == len(wanted))
    return named and (below if kept.endswith("/") else len(written) == len(wanted))


def serve_static_files(application: Any, *, asgi: bool) -> Any:
    """Return what serves the static files of a Django in DEBUG as well, as `runserver` does; else the application."""
    handler = _find_class("django.core.handlers.base", "BaseHandler")
    if handler is None or not any(isinstance(layer, handler) for layer in find_layers(application)):
        return application
    from django.apps import apps
    from django.conf import settings
    from django.contrib.staticfiles import handlers

    wanted = settings.DEBUG and settings.STATIC_URL and apps.is_installed("django.contrib.staticfiles")
    if not wanted or apps.is_installed("whitenoise.runserver_nostatic"):
        return application
    if any(isinstance(layer, handlers.StaticFilesHandlerMixin) for layer in find_layers(application)):
        return application
    wrap: Callable[[Any], Any] = handlers.ASGIStaticFilesHandler if asgi else handlers.StaticFilesHandler
    return wrap(application)


def _find_class(module: str, name: str) -> Any:
    """Return a class of a framework that is in use, else None."""
    return getattr(sys.modules.get(module), name, None)


def _is(layer: object, module: str, name: str) -> bool:
    kind = _find_class(module, name)
    return kind is not None and isinstance(layer, kind)


def _is_webhook(view: object) -> bool:
    kind = view if isinstance(view, types.FunctionType) else type(view)
    return (kind.__module__.removeprefix(_OF_INTEGRATIONS), kind.__qualname__) in _WEBHOOKS


def _find_in_starlette(layer: Any, before: str = "") -> Iterator[str]:
    if not (_is(layer, "starlette.applications", "Starlette") or _is(layer, "starlette.routing", "Router")):
        return
    for route in layer.routes:
        path = before + getattr(route, "path", "")
        included = getattr(route, "original_router", None)  # of FastAPI, since it no longer copies what it includes
        if included is not None:
            yield from _find_in_starlette(included, before + getattr(route.include_context, "prefix", ""))
        elif not _is(route, "starlette.routing", "Mount"):
            if not _is_webhook(getattr(route, "endpoint", None)):
                yield path
        elif route.routes:
            yield from _find_in_starlette(route.app, path)
        else:
            yield f"{path}/{_REST}"


def _find_in_flask(layer: Any) -> Iterator[str]:
    if _is(layer, "flask", "Flask") or _is(layer, "quart", "Quart"):
        for rule in layer.url_map.iter_rules():
            yield rule.rule


def _find_in_django(layer: Any) -> Iterator[str]:
    if _is(layer, "django.core.handlers.base", "BaseHandler"):
        from django.urls import get_resolver

        yield from _walk_patterns(get_resolver(), "/")


def _walk_patterns(resolver: Any, before: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        written = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        path = before + written.replace("\\.", ".").replace("\\/", "/").replace("\\-", "-")
        if hasattr(pattern, "url_patterns"):
            yield from _walk_patterns(pattern, path)
        elif not _is_webhook(pattern.callback):
            yield path
