"""The gateway's event stream as the answer of a view: in each framework, below a real server."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from litestar import Response as LitestarResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import Mount, Route

from messageflow import ConfigurationError, Flow
from messageflow.integrations import fastapi, litestar, starlette
from tests.integrations import django_site
from tests.integrations.sites import AWAY, make_settings, read_user
from tests.stream_reader import SECONDS, Stream
from tests.support import API_KEY, TOKEN_SECRET, Running
from tests.waiting import wait_until

FRAMEWORKS = ["starlette", "middleware", "fastapi", "litestar", "django"]
CHANNELS = ["news"]


class Server:
    """Applications below one real server, on a thread. `port` is where."""

    def __init__(self, app: Any) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        wait_until(lambda: self._server.started, SECONDS)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def make_starlette(url: str, **more: str) -> Any:
    messageflow = starlette.MessageFlow(user=read_user, settings={**make_settings(url), **more})

    async def events(request: StarletteRequest) -> Response:
        answer = messageflow.event_stream(request, read_user(request), channels=CHANNELS)
        answer.set_cookie("seen", "yes")
        return answer

    return Starlette(routes=[Route("/events", events)])


def make_middleware(url: str) -> Any:
    async def pass_on(request: StarletteRequest, call_next: Any) -> Any:
        return await call_next(request)

    return Starlette(routes=[Mount("/", make_starlette(url))], middleware=[Middleware(BaseHTTPMiddleware, pass_on)])


def make_fastapi(url: str) -> Any:
    app = FastAPI()
    messageflow = fastapi.MessageFlow(app, user=lambda: None, settings=make_settings(url))

    @app.get("/events")
    def events(request: Request) -> Any:
        answer = messageflow.event_stream(request, read_user(request), channels=CHANNELS)
        answer.set_cookie("seen", "yes")
        return answer

    return app


def make_litestar(url: str) -> Any:
    messageflow = litestar.MessageFlow(user=read_user, settings=make_settings(url))

    @get("/events")
    async def events(request: LitestarRequest[Any, Any, Any]) -> LitestarResponse[Any]:
        answer = messageflow.event_stream(request, read_user(request), channels=CHANNELS)
        answer.set_cookie("seen", "yes")
        return answer

    return Litestar([events], plugins=[messageflow], logging_config=None)


def make_django(url: str) -> Any:
    from django.core.handlers.asgi import ASGIHandler

    return ASGIHandler()


@contextmanager
def served(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All frameworks, each below a path of its name, with a gateway at this address."""
    django_site.configure(str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
    from django.test import override_settings

    told = {"URL": url, "API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET}
    with override_settings(MESSAGEFLOW=told, MIDDLEWARE=[]):
        made = [Mount(f"/{name}", globals()[f"make_{name}"](url)) for name in FRAMEWORKS]
        with Server(Starlette(routes=made)) as server:
            yield server


@pytest.fixture(scope="module")
def server(gateway: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(gateway.url, tmp_path_factory) as server:
        yield server


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


@pytest.fixture(params=FRAMEWORKS)
def path(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}/events"


def test_a_view_answers_what_the_gateway_says_and_a_reader_resumes(server: Server, flow: Flow, path: str) -> None:
    user = f"ann-{path.split('/')[1]}"
    with Stream(server, path, {"user": user}) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers.get_all("cache-control") == ["no-cache, no-store, no-transform"]
        assert ("seen=yes" in str(stream.headers["set-cookie"])) is ("django" not in path)
        name, begun = stream.event()
        assert (name, begun["channels"]) == ("connect", [f"#{user}", "*", "news"])
        flow.push(user, "report/ready", {"id": 7})
        flow.publish("news", "ü")
        assert [stream.data(), stream.data()] == [{"type": "report/ready", "payload": {"id": 7}}, "ü"]
        last = stream.last_id
    wait_until(lambda: not flow.online(user), SECONDS)
    for number in range(3):
        flow.push(user, "n", number)
    with Stream(server, path, {"user": user, "Last-Event-ID": last}) as stream:
        assert [stream.data()["payload"] for _ in range(3)] == [0, 1, 2]
    with Stream(server, f"{path}?last_event_id=invented", {"user": user}) as stream:
        assert [stream.event()[0], stream.event()[0]] == ["connect", "reset"]


def test_nobody_gets_no_stream(server: Server, path: str) -> None:
    with Stream(server, path) as stream:
        assert (stream.status, json.loads(stream.read())) == (401, {"error": "nobody is logged in"})


def test_what_the_gateway_refuses_is_refused(gateway: Running, server: Server, path: str) -> None:
    with Stream(server, f"{path}?as=nonsense", {"user": "ann"}) as stream:
        assert (stream.status, "as=nonsense" in stream.read()) == (400, True)


@pytest.mark.parametrize("name", ["starlette", "django"])
def test_who_asks_for_the_head_alone_gets_it(server: Server, name: str) -> None:
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    asking.request("HEAD", f"/{name}/events", headers={"user": "ann"})
    answer = asking.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.read() == b""
    asking.close()


def test_a_token_that_the_gateway_does_not_believe_is_no_token(gateway: Running) -> None:
    app = make_starlette(gateway.url, TOKEN_SECRET="the secret of another gateway 0123456789")
    with Server(app) as server, Stream(server, "/events", {"user": "ann"}) as stream:
        message = json.loads(stream.read())["error"]["message"]
        assert (stream.status, message.partition(":")[0]) == (401, "invalid token")
        assert "ask for another" in message


def test_a_reader_that_does_not_read_gets_all_of_it_later(server: Server, flow: Flow) -> None:
    with Stream(server, "/starlette/events", {"user": "slow"}) as stream:
        stream.event()
        for number in range(200):
            flow.publish("news", {"n": number, "x": "x" * 60_000})  # more than all sockets hold
        assert [stream.data()["n"] for _ in range(200)] == list(range(200))


def test_while_the_gateway_is_away_a_browser_is_told_to_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(AWAY, tmp_path_factory) as server:
        for name in FRAMEWORKS:
            with Stream(server, f"/{name}/events", {"user": "ann"}) as stream:
                assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
                assert stream.read().startswith("retry: 3000\n")


async def test_django_below_wsgi_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    django_site.configure(str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
    from django.test import RequestFactory

    from messageflow.integrations.django import event_stream

    with pytest.raises(ConfigurationError, match="below ASGI"):
        await event_stream(RequestFactory().get("/"), "ann")
