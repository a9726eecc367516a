"""What `run` reads of applications: their routes, where they meet the gateway's paths, and Django's static files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from messageflow.cli.frameworks import covers, find_layers, find_routes, serve_static_files
from messageflow.dialects.table import DIALECTS
from messageflow.gateway.paths import Paths
from messageflow.integrations.starlette import MessageFlow
from tests.gateway.asking import get
from tests.support import Running, running
from tests.waiting import patience

KEPT = Paths("/messageflow/", guest=True).kept


@pytest.mark.parametrize(
    "route",
    [
        "/messageflow.js",
        "/connection/websocket",
        "/connection/<kind>",
        "/connection/{kind}",
        "/connection/<path:rest>",
        "/connection/{rest:path}",
        "/connection/(?P<kind>[a-z]+)",
        "/connection/.*",
        "/messageflow/",
        "/messageflow/api",
        "/messageflow/<int:number>",
        "/messageflow/{rest:path}",
        "/messageflow/a/b/c",
    ],
)
def test_a_route_for_what_is_kept_is_found(route: str) -> None:
    assert any(covers(route, kept) for kept in KEPT)


@pytest.mark.parametrize(
    "route",
    [
        "/",
        "/<path:page>",
        "/{page:path}",
        "/.*",
        "/{page}",
        "/<one>/<two>",
        "/{one}/{two}/{three}",
        "/messageflow",
        "/messageflows/",
        "/messageflow.jsx",
        "/connection/other",
        "/connection/websocket/",
        "/connection/websocket/more",
        "/connection",
        "/a/messageflow/b",
        "/api/{name}",
    ],
)
def test_a_route_of_any_other_kind_is_not(route: str) -> None:
    assert not any(covers(route, kept) for kept in KEPT)


def page(request: object) -> PlainTextResponse:
    return PlainTextResponse("")


async def asked(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nobody asked it")


class Touchy:
    """An application that is nobody's: to ask it for anything is to set it off."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"it was asked for {name}")

    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


def test_routes_of_starlette_are_read_with_what_is_mounted() -> None:
    inner = Starlette(routes=[Route("/y", page), Mount("/deep", routes=[Route("/z", page)])])
    application = Starlette(
        routes=[
            Route("/x/{name}", page),
            WebSocketRoute("/live", asked),
            Mount("/inner", app=inner),
            Mount("/files", app=asked),
        ]
    )
    expected = {"/x/{name}", "/live", "/inner/y", "/inner/deep/z", "/files/{path:path}"}
    assert set(find_routes(application)) == expected
    assert set(find_routes(CORSMiddleware(CORSMiddleware(application)))) == expected


def test_the_webhook_of_an_integration_is_no_route_of_the_applications() -> None:
    application = Starlette(routes=[Route("/messageflow/mine", page)])
    MessageFlow(application)
    assert set(find_routes(application)) == {"/messageflow/mine", "/socket_auth_token"}


def test_routes_of_flask_are_read_with_its_blueprints() -> None:
    application = Flask(__name__, static_folder=None)
    application.add_url_rule("/x/<int:number>", "x", str)
    blueprint = Blueprint("inner", __name__, url_prefix="/inner")
    blueprint.add_url_rule("/y", "y", str)
    application.register_blueprint(blueprint)
    assert set(find_routes(application)) == {"/x/<int:number>", "/inner/y"}


def test_an_application_of_no_known_framework_is_not_asked() -> None:
    touchy = Touchy()
    assert list(find_routes(touchy)) == []
    assert serve_static_files(touchy, asgi=True) is touchy


def test_layers_that_hold_each_other_come_to_an_end() -> None:
    one, two = CORSMiddleware(asked), CORSMiddleware(asked)
    one.app, two.app = two, one
    assert list(find_layers(one)) == [one, two]


SETTINGS = """
DEBUG = {debug}
SECRET_KEY = "of no use to anybody, and long enough for Django"
INSTALLED_APPS = ["django.contrib.staticfiles"]
ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [{directory!r}]
"""
URLS = """
from django.http import HttpResponse
from django.urls import include, path, re_path
from messageflow.integrations.django.views import hooks

def show(request, **names):
    return HttpResponse("shown")

urlpatterns = [
    path("", show),
    path("messageflow/", include([path("<int:number>/edit", show), path("hooks", hooks)])),
    re_path(r"^connection/(?P<kind>[a-z]+)$", show),
    re_path(r"^messageflow\\.js$", show),
    path("<path:page>", show),
]
"""
ENTRY = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
from django.core.{kind} import get_{kind}_application
application = get_{kind}_application()
"""


def django(directory: Path, *, debug: bool = True) -> Path:
    (directory / "assets").mkdir()
    (directory / "assets" / "style.css").write_text("a { color: red }")
    (directory / "site_settings.py").write_text(SETTINGS.format(debug=debug, directory=str(directory / "assets")))
    (directory / "site_urls.py").write_text(URLS)
    for kind in ("wsgi", "asgi"):
        (directory / f"site_{kind}.py").write_text(ENTRY.format(kind=kind))
    (directory / "site_wrapped.py").write_text(
        "from starlette.middleware.cors import CORSMiddleware\n"
        "from site_asgi import application as inner\n"
        "application = CORSMiddleware(inner)\n"
    )
    return directory


@pytest.mark.parametrize("module", ["site_wsgi", "site_asgi", "site_wrapped"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_static_files_of_django_are_there_in_debug(tmp_path: Path, module: str, workers: str) -> None:
    flags = ("--broker", "memory", "--workers", workers)
    with running(("run", module, *flags), tmp_path, cwd=django(tmp_path)) as started:
        assert get(started.port, "/static/style.css") == (200, "a { color: red }")
        assert get(started.port, "/static/none.css")[0] == 404
        assert get(started.port, "/any/page") == (200, "shown")


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_without_debug_the_application_has_their_paths(tmp_path: Path, kind: str) -> None:
    with running(("run", f"site_{kind}", "--broker", "memory"), tmp_path, cwd=django(tmp_path, debug=False)) as started:
        assert get(started.port, "/static/style.css") == (200, "shown")


def said(started: Running, text: str, count: int = 1) -> list[str]:
    """Return the lines with this text, once there are so many."""
    began = time.monotonic()
    while len(found := [line.strip() for line in started.lines if text in line]) < count:
        assert time.monotonic() - began < patience(20), "".join(started.lines)
        time.sleep(0.02)
    return found


WARNED = "the gateway's under run"
FLASK = """
from flask import Flask
app = Flask(__name__)
app.add_url_rule("/messageflow/mine", "mine", lambda: "")
app.add_url_rule("/api/users", "users", lambda: "")
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.routing import Route
app = Starlette(routes=[Route("/messageflow/mine", print), Route("/api/users", print)])
"""


@pytest.mark.parametrize("text", [FLASK, STARLETTE])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_kept_is_said_and_a_route_there_is_warned_of(tmp_path: Path, text: str, workers: str) -> None:
    (tmp_path / "shop.py").write_text(text)
    flags = ("--broker", "memory", "--workers", workers)
    with running(("run", "shop:app", *flags), tmp_path, cwd=tmp_path) as started:
        kept = ", ".join(
            ["/messageflow.js", *dict.fromkeys(spoken.path for spoken in DIALECTS), "/connection/emulation"]
        )
        assert said(started, "keeps") == [f"keeps {kept} and /messageflow/…; every other path is for shop:app"]
        (warned,) = said(started, WARNED)
        assert "/messageflow/mine" in warned
        assert "--base-path" in warned


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_routes_of_django_are_warned_of(tmp_path: Path, kind: str) -> None:
    with running(("run", f"site_{kind}", "--broker", "memory"), tmp_path, cwd=django(tmp_path)) as started:
        warned = [line.split("route ")[1].split(" is")[0] for line in said(started, WARNED, 3)]
    assert warned == ["/messageflow/<int:number>/edit", "/connection/(?P<kind>[a-z]+)", "/messageflow.js"]


def test_no_route_there_no_warning(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(FLASK)
    with running(("run", "shop:app", "--broker", "memory", "--base-path", "own"), tmp_path, cwd=tmp_path) as started:
        assert get(started.port, "/messageflow/mine")[0] == 200
        assert said(started, "and /own/…; every other path")
        started.terminate()
        started.release()
        assert said(started, WARNED, 0) == []
