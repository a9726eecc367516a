"""The same application in every framework: a page, a report that is ordered, a view that would hold up its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import jinja2
from a2wsgi import WSGIMiddleware
from fastapi import Depends, FastAPI, Request
from litestar import Litestar, get, post
from litestar import Response as LitestarResponse
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template import TemplateConfig
from pyramid.config import Configurator
from pyramid.security import NO_PERMISSION_REQUIRED
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

from messageflow import Event, PublishError
from messageflow.integrations import fastapi, litestar, pyramid, starlette, tornado
from messageflow.integrations.async_site import AsyncSite
from tests.support import API_KEY, TOKEN_SECRET

AWAY = "http://127.0.0.1:9"
PAGE = "{{ messageflow_script() }}{{ messageflow_html('turbo', channels=['jobs']) }}{{ shown }}"
Browser = httpx.AsyncClient


def make_settings(url: str = AWAY, **more: Any) -> dict[str, Any]:
    return {"URL": url, "API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET, **more}


def read_user(request: Any) -> str | None:
    """Who is logged in, in place of a login."""
    user: str | None = request.headers.get("user")
    return user


def double(event: Event) -> Any:
    return {"twice": event.data * 2}


def push_blocking(messageflow: Any) -> str:
    try:
        messageflow.flow.push("alice", "t")
    except PublishError as error:
        return str(error)
    return ""


def make_templates() -> Jinja2Templates:
    loader = jinja2.DictLoader({"page.html": PAGE})
    return Jinja2Templates(env=jinja2.Environment(loader=loader, autoescape=True))


def make_starlette(options: dict[str, Any], mounted: bool) -> tuple[Any, Any]:
    templates = make_templates()
    messageflow = starlette.MessageFlow(templates=templates, **options)

    async def page(request: StarletteRequest) -> Response:
        await messageflow.for_request(request).mark_position()
        return templates.TemplateResponse(request, "page.html", {"shown": "<shown>"})

    async def report(request: StarletteRequest) -> Response:
        try:
            receipt = await messageflow.for_request(request).push_current("report/ready", {"id": 7})
        except LookupError as error:
            return JSONResponse({"error": str(error)}, 403)
        return JSONResponse({"offset": receipt.offset})

    async def blocking(request: StarletteRequest) -> Response:
        return JSONResponse(push_blocking(messageflow))

    app = Starlette(
        routes=[Route("/", page), Route("/reports", report, methods=["POST"]), Route("/blocking", blocking)]
    )
    messageflow.init_app(app)
    return Starlette(routes=[Mount("/shop", app, name="shop")]) if mounted else app, messageflow


def make_fastapi(options: dict[str, Any], mounted: bool) -> tuple[Any, Any]:
    app, templates = FastAPI(), make_templates()
    if "user" in options:
        options["user"] = read_user_of_fastapi
    messageflow = fastapi.MessageFlow(app, templates=templates, **options)

    @app.get("/")
    async def page(request: Request, messages: Any = Depends(messageflow.for_request)) -> Response:
        await messages.mark_position()
        return templates.TemplateResponse(request, "page.html", {"shown": "<shown>"})

    @app.post("/reports")
    async def report(messages: Any = Depends(messageflow.for_request)) -> Any:
        try:
            return {"offset": (await messages.push_current("report/ready", {"id": 7})).offset}
        except LookupError as error:
            return JSONResponse({"error": str(error)}, 403)

    @app.get("/blocking")
    async def blocking() -> str:
        return push_blocking(messageflow)

    outer = FastAPI()
    outer.mount("/shop", app, name="shop")
    return outer if mounted else app, messageflow


def read_user_of_fastapi(request: Request) -> str | None:
    return read_user(request)


def make_litestar(options: dict[str, Any], mounted: bool) -> tuple[Any, Any]:
    messageflow = litestar.MessageFlow(**options)

    @get("/")
    async def page(messages: litestar.Messages) -> Template:
        await messages.mark_position()
        return Template("page.html", context={"shown": "<shown>"})

    @post("/reports", status_code=200)
    async def report(messages: litestar.Messages) -> LitestarResponse[Any]:
        try:
            receipt = await messages.push_current("report/ready", {"id": 7})
        except LookupError as error:
            return LitestarResponse({"error": str(error)}, status_code=403)
        return LitestarResponse({"offset": receipt.offset})

    @get("/blocking")
    async def blocking() -> LitestarResponse[str]:
        return LitestarResponse(push_blocking(messageflow), media_type="application/json")

    templates = TemplateConfig(instance=JinjaTemplateEngine.from_environment(make_templates().env))
    app: Any = Litestar([page, report, blocking], plugins=[messageflow], template_config=templates, logging_config=None)
    return Starlette(routes=[Mount("/shop", app, name="shop")]) if mounted else app, messageflow


def make_pyramid(options: dict[str, Any], mounted: bool) -> tuple[Any, Any]:
    settings = {f"messageflow.{name.lower()}": value for name, value in options.pop("settings").items()}
    messageflow = pyramid.MessageFlow(**options)

    def page(request: Any) -> dict[str, str]:
        request.messageflow.mark_position()
        return {"shown": "<shown>"}

    def report(request: Any) -> dict[str, Any]:
        try:
            return {"offset": request.messageflow.push_current("report/ready", {"id": 7}).offset}
        except LookupError as error:
            request.response.status_int = 403
            return {"error": str(error)}

    templates = make_templates()
    with Configurator(settings=settings) as config:
        config.set_default_permission("to be let in")
        config.set_default_csrf_options()
        config.include(messageflow.includeme)
        config.add_renderer(
            ".html", lambda info: lambda value, system: templates.get_template(info.name).render({**system, **value})
        )
        for path, view, renderer in (("/", page, "page.html"), ("/reports", report, "json")):
            config.add_route(path, path)
            config.add_view(
                view, route_name=path, renderer=renderer, permission=NO_PERMISSION_REQUIRED, require_csrf=False
            )
        app: Any = WSGIMiddleware(config.make_wsgi_app())
    return Starlette(routes=[Mount("/shop", app, name="shop")]) if mounted else app, messageflow


def make_tornado(options: dict[str, Any], mounted: bool) -> tuple[Any, Any]:
    class Page(tornado.MessageFlowMixin, RequestHandler):
        async def get(self) -> None:
            await self.messageflow.mark_position()
            self.render("page.html", shown="<shown>")

    class Report(tornado.MessageFlowMixin, RequestHandler):
        async def post(self) -> None:
            try:
                self.write({"offset": (await self.messageflow.push_current("report/ready", {"id": 7})).offset})
            except LookupError as error:
                self.set_status(403)
                self.write({"error": str(error)})

    class Blocking(RequestHandler):
        async def get(self) -> None:
            self.write(push_blocking(messageflow))

    html = '{% module messageflow_html("turbo", channels=["jobs"]) %}'
    loader = DictLoader({"page.html": f"{{% module messageflow_script() %}}{html}{{{{ shown }}}}"})
    app = Application(template_loader=loader)
    app.add_handlers(".*", [("/", Page), ("/reports", Report), ("/blocking", Blocking)])
    if "user" in options:
        options["user"] = lambda handler: read_user(handler.request)
    messageflow = tornado.MessageFlow(app, **options)
    return app, messageflow


SITES: dict[str, Callable[[dict[str, Any], bool], tuple[Any, Any]]] = {
    "starlette": make_starlette,
    "fastapi": make_fastapi,
    "litestar": make_litestar,
    "pyramid": make_pyramid,
    "tornado": make_tornado,
}


def browse(app: Any) -> Browser:
    """Return a browser before an ASGI application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example")


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[Browser]:
    """Serve an application to a browser; one of Tornado's is a server of its own."""
    if not isinstance(app, Application):
        async with browse(app) as browser:
            yield browser
        return
    server, sockets = HTTPServer(app), bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}") as browser:
        yield browser
    server.stop()
    await server.close_all_connections()


@asynccontextmanager
async def opened(framework: str, url: str = AWAY, *, mounted: bool = False, **options: Any) -> AsyncIterator[Browser]:
    """Serve the application to a browser.

    Args:
        framework: it is written in.
        url: of its gateway.
        mounted: whether it is below `/shop`, where the framework knows that.
        options: of `MessageFlow`.
    """
    settings = make_settings(url, **options.pop("settings", {}))
    app, messageflow = SITES[framework]({"user": read_user, "settings": settings, **options}, mounted)
    messageflow.rpc("double")(double)
    lifespan = messageflow.lifespan() if isinstance(messageflow, AsyncSite) else nullcontext()
    async with lifespan, served(app) as browser:
        yield browser
