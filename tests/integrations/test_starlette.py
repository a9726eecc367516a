"""What Starlette and FastAPI have beyond what all frameworks have."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from messageflow import ConfigurationError
from messageflow.integrations import fastapi, starlette
from tests.integrations.conftest import HOOKS_SECRET
from tests.integrations.signed import sign_call
from tests.integrations.sites import browse, double, make_settings, read_user, read_user_of_fastapi

ALICE = {"user": "alice"}


class Named(SimpleUser):
    @property
    def identity(self) -> str:
        return f"id of {self.username}"


class Backend(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        kind, _, name = conn.headers.get("user", "").partition(" ")
        return (AuthCredentials(), {"simple": SimpleUser, "named": Named}[kind](name)) if name else None


@pytest.mark.parametrize("module", [starlette, fastapi])
async def test_who_is_logged_in_is_asked_of_the_authentication_of_starlette(module: Any) -> None:
    seen: list[object] = []

    def note(user: object) -> dict[str, Any]:
        seen.append(user)
        return {}

    app: Any = Starlette() if module is starlette else FastAPI()
    module.MessageFlow(app, settings=make_settings(), token_options=note)
    with pytest.raises(ConfigurationError, match=r"cannot tell who is logged in: give it MessageFlow\(user=function\)"):
        await browse(app).get("/socket_auth_token")
    app.middleware_stack = None
    app.add_middleware(AuthenticationMiddleware, backend=Backend())
    async with browse(app) as browser:
        assert (await browser.get("/socket_auth_token")).status_code == 401
        for header in ("simple alice", "named alice"):
            assert (await browser.get("/socket_auth_token", headers={"user": header})).json()["token"]
    assert seen == ["alice", "id of alice"]


async def test_an_application_may_be_put_together_by_hand() -> None:
    by_hand = starlette.MessageFlow(user=read_user, settings=make_settings(HOOKS_SECRET=HOOKS_SECRET))
    by_hand.rpc("double")(double)
    included = FastAPI()
    of_fastapi = fastapi.MessageFlow(user=read_user_of_fastapi, settings=make_settings(HOOKS_SECRET=HOOKS_SECRET))
    of_fastapi.rpc("double")(double)
    included.include_router(of_fastapi.router, prefix="/live")
    mounted = Starlette(routes=[Mount("/live", by_hand.router)], lifespan=by_hand.lifespan)
    apps: tuple[Any, Any] = mounted, included
    for app in apps:
        body, headers = sign_call("double", 21)
        async with app.router.lifespan_context(app), browse(app) as browser:
            assert (await browser.get("/live/socket_auth_token", headers=ALICE)).json()["token"]
            answer = await browser.post("/live/messageflow/hooks", content=body, headers=headers)
        assert answer.json()["results"] == [{"result": {"twice": 42}}]


async def test_a_dependency_that_sends_people_to_a_form_sends_no_page_there_for_its_token() -> None:
    def find_user() -> str:
        raise HTTPException(303, headers={"Location": "/login"})

    app = FastAPI()
    fastapi.MessageFlow(app, user=find_user, settings=make_settings())
    answer = await browse(app).get("/socket_auth_token")
    assert (answer.status_code, answer.json()) == (401, {"detail": "nobody is logged in"})
    assert "/socket_auth_token" not in app.openapi()["paths"]


def test_one_is_enough_for_an_application() -> None:
    messageflow = starlette.MessageFlow(user=read_user, settings=make_settings())
    app = Starlette()
    messageflow.init_app(app)
    assert app.state.messageflow is messageflow
    with pytest.raises(ConfigurationError, match="has a MessageFlow already"):
        messageflow.init_app(app)


async def test_a_request_has_what_is_about_it_and_no_decorators() -> None:
    messageflow = starlette.MessageFlow(user=read_user, settings=make_settings())
    scope = {"type": "http", "headers": [(b"user", b"alice")]}
    messages = messageflow.for_request(HTTPConnection(scope))
    assert await messages.find_user() == "alice"
    assert messages.url == make_settings()["URL"]
    for name in ("on", "psuh", "_found"):
        with pytest.raises(AttributeError, match=f"'AsyncRequestFlow' object has no attribute '{name}'"):
            getattr(messages, name)
    with pytest.raises(AttributeError, match="'MessageFlow' object has no attribute 'psuh'"):
        messageflow.psuh  # type: ignore[attr-defined]  # noqa: B018
