"""How `messageflow run` finds an application and tells WSGI from ASGI."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a2wsgi import WSGIMiddleware

from messageflow.cli.application import as_asgi, load_application
from messageflow.errors import ConfigurationError

SOURCE = """
import types
app = "the application"
holder = types.SimpleNamespace(wsgi="nested")
def create_app(): return "made"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a module `shop_site` in it, and no trace of either afterwards."""
    (tmp_path / "shop_site.py").write_text(SOURCE)
    (tmp_path / "shop_factory.py").write_text("def create_app(): return 'made'")
    (tmp_path / "shop_broken.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("shop_site", "shop_factory", "shop_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("shop_site:app", "the application"),
        ("shop_site:holder.wsgi", "nested"),
        ("shop_site:create_app()", "made"),
        ("shop_site", "the application"),
        ("shop_factory", "made"),
    ],
)
@pytest.mark.usefixtures("project")
def test_application_is_found_in_the_current_directory(target: str, expected: str) -> None:
    assert load_application(target) == expected


def test_application_is_found_in_a_directory_that_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert load_application("shop_site:app", project) == "the application"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("shop_sit:app", "there is no module 'shop_sit' in {directory} or on the path; did you mean 'shop_site'?"),
        ("zzz.web:app", "there is no module 'zzz' in {directory} or on the path"),
        ("shop_site:ap", "there is no 'ap' in the module 'shop_site'; did you mean 'app'?"),
        ("shop_site:zzz", "there is no 'zzz' in the module 'shop_site'"),
        ("shop_site.py:app", "'shop_site.py' is a file; give the module: shop_site:app"),
        ("web/shop_site.py", "'web/shop_site.py' is a file; give the module: web.shop_site:app"),
        ("..shop:app", "'..shop' is not the name of a module; write module:app"),
        (":app", "'' is not the name of a module; write module:app"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest_that_is(project: Path, target: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_application(target)
    assert str(caught.value) == sentence.format(directory=project)


@pytest.mark.usefixtures("project")
def test_library_the_application_misses_is_its_own_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load_application("shop_broken:app")


@pytest.mark.parametrize("raised", ["TypeError", "ValueError"])
def test_what_the_application_raises_is_its_own_error(project: Path, raised: str) -> None:
    (project / f"shop_{raised}.py").write_text(f"raise {raised}('of mine')\n")
    with pytest.raises((TypeError, ValueError), match="of mine"):
        load_application(f"shop_{raised}:app")


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive, send


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    del environ, start_response
    return []


def anything(*args: Any, **kwargs: Any) -> Any:
    return wsgi(*args, **kwargs)


async def anything_async(*args: Any, **kwargs: Any) -> Any:
    return await asgi(*args, **kwargs)


def factory() -> object:
    return wsgi


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return wsgi(environ, start_response)


class AsgiTwo:
    served: list[Any]

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        receive(self.scope)
        send(self.scope)


@pytest.mark.parametrize(
    "application", [asgi, AsgiObject(), AsgiObject().__call__, anything_async, functools.partial(asgi)]
)
def test_asgi_application_is_taken_as_it_is(application: Any) -> None:
    assert as_asgi(application, "m:app") is application


@pytest.mark.parametrize("application", [wsgi, WsgiObject(), anything, functools.partial(wsgi)])
def test_wsgi_application_gets_threads(application: Any) -> None:
    wrapped = as_asgi(application, "m:app")
    assert isinstance(wrapped, WSGIMiddleware)
    assert wrapped.app is application


def test_flask_application_is_wsgi() -> None:
    from flask import Flask

    assert isinstance(as_asgi(Flask(__name__), "m:app"), WSGIMiddleware)


def test_starlette_application_is_asgi() -> None:
    from starlette.applications import Starlette

    application = Starlette()
    assert as_asgi(application, "m:app") is application


async def test_asgi_two_application_is_called_twice() -> None:
    heard: list[Any] = []
    await as_asgi(AsgiTwo, "m:app")({"type": "http"}, heard.append, heard.append)  # type: ignore[arg-type]
    assert heard == [{"type": "http"}, {"type": "http"}]


@pytest.mark.parametrize(
    ("application", "sentence"),
    [
        ("text", "m:app is a str, not a WSGI or ASGI application"),
        (lambda only: only, "m:app takes neither what WSGI gives (environ, start_response) nor what ASGI gives"),
        (factory, "(scope, receive, send); if it is a factory, write m:app()"),
    ],
)
def test_what_is_neither_is_refused(application: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_asgi(application, "m:app")
    assert sentence in str(caught.value)
