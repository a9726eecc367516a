"""Finds the web application that `messageflow run` is given, and makes an ASGI application of it.

`module:attribute` as uvicorn and gunicorn have it; `module:factory()` calls the factory. WSGI applications run on a
pool of threads. Knows nothing of the gateway.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from messageflow.cli.frameworks import serve_static_files
from messageflow.errors import ConfigurationError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

WSGI_THREADS = 16
_USUAL_NAMES = ("app", "application", "create_app", "make_app")


def load_application(target: str, directory: Path | None = None) -> object:
    """Return the application named by `module:attribute` or `module:factory()`.

    Without an attribute the usual names are tried.

    Args:
        target: what was typed.
        directory: searched before the rest of the path; otherwise the current one.

    Raises:
        ConfigurationError: there is no such module or attribute; the message suggests the nearest one.
    """
    directory = directory or current_directory()
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    name, _, path = target.partition(":")
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(f"{name!r} is a file; give the module: {dotted}:{path or 'app'}")
    module = _import(name, directory)
    if not path:
        path = next((usual for usual in _USUAL_NAMES if hasattr(module, usual)), "app")
        path += "()" if path in ("create_app", "make_app") else ""
    found: Any = module
    for part in path.removesuffix("()").split("."):
        found = _get_attribute(found, part, name)
    return found() if path.endswith("()") else found


def current_directory() -> Path:
    """Return the current directory.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigurationError(
            f"the current directory cannot be used ({error.strerror}): change to the one where the application is"
        ) from None


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


def _import(name: str, directory: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not, and its traceback says where
        hint = _suggest(error.name, [path.stem for path in directory.iterdir() if path.suffix in ("", ".py")])
        raise ConfigurationError(f"there is no module {error.name!r} in {directory} or on the path{hint}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"{name!r} is not the name of a module; write module:app") from None


def _get_attribute(owner: object, name: str, module: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        hint = _suggest(name, [each for each in dir(owner) if not each.startswith("_")])
        raise ConfigurationError(f"there is no {name!r} in the module {module!r}{hint}") from None


def _suggest(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


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
