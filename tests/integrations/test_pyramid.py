"""What Pyramid has beyond what all frameworks have."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request

from messageflow import ConfigurationError
from messageflow.integrations.pyramid import MessageFlow
from tests.integrations.sites import make_settings

SETTINGS = {f"messageflow.{name.lower()}": value for name, value in make_settings().items()}


class Policy:
    def authenticated_userid(self, request: Any) -> str | None:
        name: str | None = request.headers.get("user")
        return name


def give_options(user: str) -> dict[str, Any]:
    return {"allow": [f"{user}:*"]}


def test_by_its_name_alone_it_asks_the_security_policy() -> None:
    more = {"messageflow.token_options": give_options}
    with Configurator(settings={**SETTINGS, **more}) as config:
        config.include("messageflow.integrations.pyramid", route_prefix="/live")
        config.set_security_policy(Policy())
        app = config.make_wsgi_app()
    answer = Request.blank("/live/socket_auth_token", headers={"user": "alice"}).get_response(app)
    assert answer.json["token"]
    assert Request.blank("/live/socket_auth_token").get_response(app).status_int == 401


def test_what_can_never_work_is_said_at_the_start() -> None:
    with Configurator(settings=SETTINGS) as config:
        config.include("messageflow.integrations.pyramid")
        with pytest.raises(ConfigurationError, match="cannot tell who is logged in"):
            config.make_wsgi_app()


def test_of_several_applications_none_is_guessed() -> None:
    messageflow = MessageFlow(user=lambda request: None)
    with pytest.raises(RuntimeError, match="no application yet"):
        messageflow.push("alice", "t")
    for settings in (SETTINGS, SETTINGS):
        Configurator(settings=settings).include(messageflow.includeme)
    assert messageflow.url == make_settings()["URL"]
    other = Configurator(settings={**SETTINGS, "messageflow.url": "http://127.0.0.1:10"})
    other.include(messageflow.includeme)
    with pytest.raises(RuntimeError, match="several applications"):
        messageflow.push("alice", "t")
    with other:
        assert messageflow.url == "http://127.0.0.1:10"
