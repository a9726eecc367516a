"""What Tornado has beyond what all frameworks have."""

from __future__ import annotations

import pytest
from tornado.web import Application, RequestHandler

from messageflow import ConfigurationError
from messageflow.integrations.tornado import MessageFlow, MessageFlowMixin
from tests.integrations.sites import make_settings, served


class Handler(RequestHandler):
    def prepare(self) -> None:
        if not self.current_user:
            self.redirect("/login")

    def get_current_user(self) -> bytes | None:
        return self.request.headers.get("user", "").encode() or None


async def test_the_token_view_is_a_handler_of_the_applications_own_kind_and_sends_nobody_elsewhere() -> None:
    app = Application(xsrf_cookies=True)
    messageflow = MessageFlow(app, handler=Handler, settings=make_settings())
    async with messageflow.lifespan(), served(app) as browser:
        assert (await browser.get("/socket_auth_token", headers={"user": "alice"})).json()["token"]
        nobody = await browser.get("/socket_auth_token")
        unsigned = await browser.post("/messageflow/hooks")
    assert (nobody.status_code, nobody.json()) == (401, {"error": "nobody is logged in"})
    assert unsigned.status_code == 401


def test_what_can_never_work_is_said() -> None:
    with pytest.raises(ConfigurationError, match="cannot tell who is logged in"):
        MessageFlow(settings=make_settings())
    messageflow = MessageFlow(handler=Handler, settings=make_settings())
    app = Application()
    messageflow.init_app(app)
    with pytest.raises(ConfigurationError, match="has a MessageFlow already"):
        messageflow.init_app(app)

    class Alone(MessageFlowMixin):
        settings: dict[str, object] = {}  # noqa: RUF012

    with pytest.raises(RuntimeError, match="has no MessageFlow yet"):
        Alone().messageflow  # noqa: B018
