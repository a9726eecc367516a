"""Finds the web application that `messageflow run` is given, and makes an ASGI application of it.

WSGI applications run on a pool of threads. Knows nothing of sessions.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, cast

from messageflow.cli.frameworks import serve_static_files
from messageflow.errors import ConfigurationError
from messageflow.gateway.object_loading import load_object

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

WSGI_THREADS = 16
USUAL_NAMES = ("app", "application", "create_app()", "make_app()")


def load_application(target: str, directory: Path | None = None) -> object:
    """Return the application named by `module:attribute` or `module:factory()`.

    Without an attribute the usual names are tried.

    Args:
        target: what was typed.
        directory: searched before the rest of the path; otherwise the current one.

    Raises:
        ConfigurationError: there is no such module or attribute; the message suggests the nearest one.
    """
    return load_object(target, USUAL_NAMES, directory)


def as_asgi(application: Any, target: str) -> ASGIApp:
    """Return an ASGI application that does what `application` does, be it ASGI or WSGI.

    Raises:
        ConfigurationError: it is neither.
    """
    if not callable(application):
        raise ConfigurationError(f"{target} is a {type(application).__name__}, not a WSGI or ASGI application")
    required = _count_required(application)
    if required == 3 or _is_coroutine_function(application):
        return cast(ASGIApp, serve_static_files(application, asgi=True))
    if required == 1 and inspect.isclass(application):
        return _adapt_asgi2(application)
    if required in (2, None):  # None: a wrapper that takes anything; those are as good as always around WSGI
        from a2wsgi import WSGIMiddleware

        return cast(ASGIApp, WSGIMiddleware(serve_static_files(application, asgi=False), workers=WSGI_THREADS))
    hint = f"; if it is a factory, write {target}()" if required == 0 and not target.endswith("()") else ""
    raise ConfigurationError(
        f"{target} takes neither what WSGI gives (environ, start_response) "
        f"nor what ASGI gives (scope, receive, send){hint}"
    )


def _is_coroutine_function(application: Any) -> bool:
    """Whether calling it gives a coroutine; for a class that is for its constructor to say, which never does."""
    if inspect.isclass(application):
        return False
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(type(application).__call__)


def _count_required(call: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a callable needs; None if that cannot be told."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)


def _adapt_asgi2(application: Callable[..., Any]) -> ASGIApp:
    """Adapt ASGI 2, where the application is called with the scope and gives a coroutine function."""

    async def adapted(scope: Scope, receive: Receive, send: Send) -> None:
        await application(scope)(receive, send)

    return adapted
