"""What `MessageFlow` does in every framework that hands requests on: the same words, options and answers."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest

from messageflow import ConfigurationError, Flow
from messageflow.core.event_ids import EventId
from messageflow.core.stream import Position
from messageflow.core.token_verifier import Verifier, load_keys
from tests.integrations.conftest import HOOKS_SECRET
from tests.integrations.signed import sign_call
from tests.integrations.sites import SITES, make_settings, opened, read_user
from tests.integrations.test_script_tag import Tags
from tests.support import API_KEY, TOKEN_SECRET, Running

ON_THREADS = {"pyramid"}
ALICE = {"user": "alice"}
TOKENS = Verifier(load_keys([TOKEN_SECRET]))


@pytest.fixture(params=SITES)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def tag_of(response: Any) -> dict[str, str | None]:
    (_, told), *_ = Tags(response.text).tags
    return told


def read_stream(response: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Return the query of the stream that a page listens to, and what its ticket says."""
    source = Tags(response.text).tags[1][1]["src"] or ""
    query = parse_qs(source.removeprefix("/connection/uni_sse?"))
    return query, jwt.decode(query["ticket"][0], TOKEN_SECRET, ["HS256"])


async def test_what_is_pushed_to_the_current_user_is_stored(framework: str, gateway: Running) -> None:
    with Flow(gateway.url, api_key=API_KEY) as flow:
        before = flow.history("#alice", limit=0).offset
    async with opened(framework, gateway.url) as browser:
        assert (await browser.post("/reports", headers=ALICE)).json() == {"offset": before + 1}
        nobody = await browser.post("/reports")
    assert (nobody.status_code, nobody.json()) == (403, {"error": "push_current('report/ready'): nobody is logged in"})


async def test_the_token_is_of_who_is_logged_in_and_nobody_gets_401(framework: str) -> None:
    async with opened(framework, token_options=lambda user: {"allow": [f"{user}:*"]}) as browser:
        response = await browser.get("/socket_auth_token", headers=ALICE)
        nobody = await browser.get("/socket_auth_token")
    claims = TOKENS.connection(response.json()["token"], time.time())
    assert (claims.user, [grant.pattern for grant in claims.grants]) == ("alice", ["alice:*"])
    assert response.headers["Cache-Control"] == "no-store"
    assert (nobody.status_code, nobody.json()) == (401, {"error": "nobody is logged in"})


async def test_the_page_is_told_where_it_begins(framework: str, gateway: Running) -> None:
    with Flow(gateway.url, api_key=API_KEY) as flow:
        flow.push("alice", "before")
        expected = flow.position("alice")
    async with opened(framework, gateway.url, nonce=lambda request: 'n"1') as browser:
        told = tag_of(await browser.get("/", headers=ALICE))
        assert json.loads(told.pop("data-since") or "") == expected
        assert told == {"src": "/messageflow.js", "data-token-url": "/socket_auth_token", "nonce": 'n"1'}
        assert "data-since" not in tag_of(await browser.get("/"))


async def test_a_page_that_a_library_changes_has_its_element(framework: str, gateway: Running) -> None:
    with Flow(gateway.url, api_key=API_KEY) as flow:
        expected = flow.position("alice")["#alice"]
    async with opened(framework, gateway.url) as browser:
        query, ticket = read_stream(await browser.get("/", headers=ALICE))
        assert len(Tags((await browser.get("/")).text).tags) == 1  # nobody listens to nothing
    assert (query["as"], ticket["sub"], ticket["channels"], ticket["ticket"]) == (["turbo"], "alice", ["jobs"], True)
    assert EventId(query["last_event_id"][0]).find("#alice") == Position(**expected)


async def test_a_page_is_shown_though_the_gateway_is_away(
    framework: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGEFLOW_SCRIPT_URL", "https://push.example/messageflow.js")
    async with opened(framework, settings={"TOKEN_PATH": None}) as browser:
        response = await browser.get("/", headers=ALICE)
        assert (await browser.get("/socket_auth_token", headers=ALICE)).status_code == 404
    assert tag_of(response) == {"src": "https://push.example/messageflow.js"}
    assert "&lt;shown&gt;" in response.text
    assert "this page begins where it connects" in caplog.text


@pytest.mark.parametrize("framework", [name for name in SITES if name != "tornado"])  # which knows of no prefix
async def test_below_a_prefix_the_token_is_where_the_application_is(framework: str) -> None:
    async with opened(framework, mounted=True) as browser:
        url = tag_of(await browser.get("/shop/"))["data-token-url"] or ""
        assert url == "/shop/socket_auth_token"
        assert (await browser.get(url, headers=ALICE)).json()["token"]


async def test_a_gateway_elsewhere_asks_the_handlers(framework: str) -> None:
    body, headers = sign_call("double", 21)
    async with opened(framework, settings={"HOOKS_SECRET": HOOKS_SECRET}) as browser:
        answer = await browser.post("/messageflow/hooks", content=body, headers=headers)
        assert answer.json()["results"] == [{"result": {"twice": 42}}]
        assert (await browser.post("/messageflow/hooks", content=body)).status_code == 401


@pytest.mark.parametrize("framework", [name for name in SITES if name not in ON_THREADS])
async def test_a_flow_that_would_hold_up_the_loop_says_so(framework: str) -> None:
    async with opened(framework) as browser:
        assert "waiting would hold up all requests" in (await browser.get("/blocking")).text


async def test_what_is_wrong_is_said_at_the_start(framework: str) -> None:
    for options, named in (
        ({"settings": make_settings(TOKEN_TLL=5)}, r"(?i)messageflow[_.]token_tll is no setting: did you mean"),
        ({"settings": {"URL": "nowhere"}}, "MESSAGEFLOW_URL"),
        ({"nonce": "n0nce"}, r"MessageFlow\(nonce=…\) takes a function, not a str"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            SITES[framework]({"user": read_user, "settings": make_settings(), **options}, False)


def test_without_the_framework_it_says_what_to_install(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"messageflow.integrations.{framework}"
    monkeypatch.delitem(sys.modules, module)
    for name in [each for each in sys.modules if each.startswith(f"{framework}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{module} needs .* pip install 'messageflow-push\[{framework}\]'"):
        import_module(module)
