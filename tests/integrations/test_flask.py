"""`MessageFlow` in Flask applications, before a real gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user, logout_user

from messageflow import ConfigurationError, Event, Flow, Message
from messageflow.core.event_ids import EventId
from messageflow.core.stream import Position
from messageflow.core.token_verifier import Verifier, load_keys
from messageflow.core.webhook_signatures import sign
from messageflow.integrations.flask import MessageFlow
from tests.gateway.test_bad_input import Client
from tests.integrations.conftest import HOOKS_SECRET
from tests.integrations.test_frameworks import read_stream
from tests.integrations.test_script_tag import Tags
from tests.support import API_KEY, TOKEN_SECRET, Running

AWAY = "http://127.0.0.1:9"


class Person(UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


def make_app(messageflow: MessageFlow, url: str = AWAY, *, login: bool = False, **settings: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.config.update(
        TESTING=True,
        SECRET_KEY="a key of the application",
        MESSAGEFLOW_URL=url,
        MESSAGEFLOW_API_KEY=API_KEY,
        MESSAGEFLOW_TOKEN_SECRET=TOKEN_SECRET,
        **{f"MESSAGEFLOW_{name}": value for name, value in settings.items()},
    )
    if login:
        manager = LoginManager(app)
        manager.user_loader(Person)
        manager.login_view = "login"

        @app.get("/login/<name>")
        def log_in(name: str) -> str:
            login_user(Person(name))
            return name

        @app.get("/logout")
        def log_out() -> str:
            logout_user()
            return ""

    pages = flask.Blueprint("pages", __name__)

    @pages.get("/")
    def page() -> str:
        messageflow.mark_position()
        return flask.render_template_string("{{ messageflow_script() }}{{ shown }}", shown="<shown>")

    @pages.get("/html")
    def html() -> str:
        return flask.render_template_string(
            "{{ messageflow_script() }}{{ messageflow_html('turbo', channels=['jobs']) }}"
        )

    @pages.post("/reports")
    def report() -> dict[str, Any]:
        return {"offset": messageflow.push_current("report/ready", {"id": 7}).offset}

    messageflow.init_app(app)
    app.register_blueprint(pages)
    return app


def read_user_header() -> str | None:
    return flask.request.headers.get("user")


ALICE = {"user": "alice"}


@pytest.fixture
def simple() -> FlaskClient:
    return make_app(MessageFlow(user=read_user_header)).test_client()


def tag_of(response: Any) -> dict[str, str | None]:
    ((_, told),) = Tags(response.text).tags
    return told


@pytest.fixture
def url(gateway: Running) -> str:
    return gateway.url


@pytest.fixture
def flow(url: str) -> Iterator[Flow]:
    with Flow(url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


def test_what_is_pushed_to_the_current_user_is_stored(url: str, flow: Flow) -> None:
    messageflow = MessageFlow(user=read_user_header)
    app = make_app(messageflow, url)
    before = flow.history("#alice", limit=0).offset
    assert app.test_client().post("/reports", headers=ALICE).json == {"offset": before + 1}
    assert messageflow.history("#alice", limit=1, reverse=True).publications[0].data["type"] == "report/ready"


def test_a_page_that_a_library_changes_has_its_element(url: str, flow: Flow) -> None:
    browser = make_app(MessageFlow(user=read_user_header), url).test_client()
    query, ticket = read_stream(browser.get("/html", headers=ALICE))
    assert (query["as"], ticket["sub"], ticket["channels"]) == (["turbo"], "alice", ["jobs"])
    start = EventId(query["last_event_id"][0])
    expected = flow.position("alice", channels=["jobs"])
    assert {name: start.find(name) for name in expected} == {name: Position(**at) for name, at in expected.items()}
    assert len(Tags(browser.get("/html").text).tags) == 1  # nobody listens to nothing


def test_pushing_to_nobody_raises(simple: Any) -> None:
    with pytest.raises(LookupError, match="nobody is logged in"):
        simple.post("/reports")


class LetterWritten(Message):
    text: str


def test_a_typed_message_is_pushed_and_an_error_does_not_quote_it(url: str, flow: Flow) -> None:
    messageflow = MessageFlow(user=read_user_header)
    app = make_app(messageflow, url)
    app.add_url_rule("/letter", view_func=lambda: messageflow.push_current(LetterWritten("private")).channel)
    assert app.test_client().get("/letter", headers=ALICE).text == "#alice"
    publication = flow.history("#alice", limit=1, reverse=True).publications[0]
    assert publication.data == {"type": "letter/written", "payload": {"text": "private"}}
    with pytest.raises(LookupError, match=r"push_current\('letter/written'\): nobody") as caught:
        app.test_client().get("/letter")
    assert "private" not in str(caught.value)


def test_the_token_is_of_who_is_logged_in(url: str) -> None:
    options = {"allow": ["news:*"]}
    client = make_app(MessageFlow(user=read_user_header, token_options=lambda user: options), url).test_client()
    response = client.get("/socket_auth_token", headers=ALICE)
    claims = Verifier(load_keys([TOKEN_SECRET])).connection(response.get_json()["token"], time.time())
    assert claims.user == "alice"
    assert [grant.pattern for grant in claims.grants] == ["news:*"]
    assert response.headers["Cache-Control"] == "no-store"


def test_nobody_gets_401_and_never_a_redirect() -> None:
    for client in (
        make_app(MessageFlow(user=read_user_header)).test_client(),
        make_app(MessageFlow(), login=True).test_client(),
    ):
        response = client.get("/socket_auth_token")
        assert (response.status_code, response.json) == (401, {"error": "nobody is logged in"})


def test_flask_login_is_asked_and_its_logout_revokes(gateway: Running) -> None:
    client = make_app(MessageFlow(), gateway.url, login=True).test_client()
    client.get("/login/alice")
    token = client.get("/socket_auth_token").get_json()["token"]
    assert Verifier(load_keys([TOKEN_SECRET])).connection(token, time.time()).user == "alice"
    client.get("/logout")
    assert client.get("/socket_auth_token").status_code == 401
    with Client(gateway) as page:
        page.say({"id": 1, "connect": {"token": token}})
        assert b'"error":{"code":109' in page.receive()[1]  # expired, to the client: it fetches another one


def test_a_logout_is_one_though_the_gateway_is_away(caplog: pytest.LogCaptureFixture) -> None:
    client = make_app(MessageFlow(), login=True).test_client()
    client.get("/login/alice")
    assert client.get("/logout").status_code == 200
    assert "alice logged out and could not be cut off" in caplog.text


def test_the_page_is_told_where_it_begins(url: str, flow: Flow) -> None:
    flow.push("alice", "before")
    expected = flow.position("alice")
    client = make_app(MessageFlow(user=read_user_header), url).test_client()
    told = tag_of(client.get("/", headers=ALICE))
    assert json.loads(told.pop("data-since") or "") == expected
    assert told == {"src": "/messageflow.js", "data-token-url": "/socket_auth_token"}
    assert "data-since" not in tag_of(client.get("/"))


def test_a_page_is_shown_though_the_gateway_is_away(simple: Any) -> None:
    response = simple.get("/", headers=ALICE)
    assert "data-since" not in tag_of(response)
    assert "&lt;shown&gt;" in response.text


def test_the_nonce_is_that_of_the_page() -> None:
    own = make_app(MessageFlow(user=read_user_header, nonce=lambda: 'n"1')).test_client()
    assert tag_of(own.get("/"))["nonce"] == 'n"1'
    app = make_app(MessageFlow(user=read_user_header))
    app.jinja_env.globals["csp_nonce"] = lambda: "talisman"  # as Flask-Talisman has it
    assert tag_of(app.test_client().get("/"))["nonce"] == "talisman"


def test_below_a_prefix_the_token_is_where_the_application_is(simple: Any) -> None:
    told = tag_of(simple.get("/", environ_overrides={"SCRIPT_NAME": "/shop"}))
    assert told["data-token-url"] == "/shop/socket_auth_token"


def test_a_gateway_elsewhere_asks_the_handlers_in_the_context_of_the_application() -> None:
    messageflow = MessageFlow(user=read_user_header)

    @messageflow.rpc("where")
    def tell_where(event: Event) -> Any:
        return {"app": flask.current_app.config["NAME"], "data": event.data}

    app = make_app(messageflow, HOOKS_SECRET=HOOKS_SECRET)
    app.config["NAME"] = "shop"

    @app.before_request
    def refuse_everything() -> None:  # as a protection against forged requests does
        flask.abort(400)

    fields: dict[str, Any] = {"user": "alice", "client": "c", "channel": "", "headers": {}, "address": "", "info": None}
    asked = {**fields, "name": "where", "data": 1, "verb": "", "code": 0, "reason": ""}
    body = json.dumps({"kind": "rpc", "seconds": 5.0, "events": [asked]}).encode()
    now = int(time.time())
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = sign(HOOKS_SECRET.encode(), "m1", now, body)
    answer = app.test_client().post("/messageflow/hooks", data=body, headers=headers)
    assert answer.json is not None
    assert answer.json["results"] == [{"result": {"app": "shop", "data": 1}}]
    assert app.test_client().post("/messageflow/hooks", data=body).status_code == 401
    assert messageflow.webhook.refused["unsigned"] == 1


async def test_a_coroutine_handler_has_the_application_too() -> None:
    messageflow = MessageFlow(user=read_user_header)

    @messageflow.on("city")
    async def add_city(event: Event) -> None:
        seen.append(flask.current_app.name)

    seen: list[str] = []
    make_app(messageflow)
    handler = messageflow.handlers.find("event", "city")
    assert handler is not None
    await handler.function(Event(name="city", headers={}))
    assert seen == ["shop"]


def test_several_applications_have_a_flow_each() -> None:
    messageflow = MessageFlow(user=read_user_header)
    with pytest.raises(RuntimeError, match="no application yet"):
        messageflow.push("alice", "t")
    first = make_app(messageflow)
    assert messageflow.url == AWAY
    second = make_app(messageflow, "http://127.0.0.1:10")
    for app, url in ((first, AWAY), (second, "http://127.0.0.1:10")):
        with app.app_context():
            assert messageflow.url == url
    with pytest.raises(RuntimeError, match="several applications"):
        messageflow.push("alice", "t")
    with flask.Flask("stranger").app_context(), pytest.raises(RuntimeError, match="does not have this MessageFlow"):
        messageflow.push("alice", "t")


def test_a_factory_that_is_called_for_each_test_changes_nothing() -> None:
    messageflow = MessageFlow(user=read_user_header)
    for _ in range(2):
        make_app(messageflow)
    assert messageflow.url == AWAY


def test_what_a_flow_does_not_have_is_not_there() -> None:
    messageflow = MessageFlow(user=read_user_header)
    with pytest.raises(AttributeError, match=r"'MessageFlow' object has no attribute 'psuh'"):
        messageflow.psuh  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(messageflow, "_found")


@pytest.mark.parametrize(
    ("settings", "named"), [({"TOKEN_TLL": 5}, "MESSAGEFLOW_TOKEN_TLL"), ({"URL": "nowhere"}, "MESSAGEFLOW_URL")]
)
def test_a_wrong_setting_is_said_at_the_start(settings: dict[str, Any], named: str) -> None:
    app = flask.Flask("shop")
    app.config.update({f"MESSAGEFLOW_{name}": value for name, value in settings.items()})
    with pytest.raises(ConfigurationError, match=named):
        MessageFlow(app, user=read_user_header)


def test_what_can_never_work_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"MessageFlow\(user=…\) takes a function, not a str"):
        MessageFlow(user="alice")  # type: ignore[arg-type]
    messageflow = MessageFlow(user=read_user_header)
    app = make_app(messageflow)
    with pytest.raises(ConfigurationError, match="has a MessageFlow already"):
        messageflow.init_app(app)
    monkeypatch.setitem(__import__("sys").modules, "flask_login", None)
    with pytest.raises(ConfigurationError, match="cannot tell who is logged in"):
        MessageFlow(flask.Flask("shop"))
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match="cannot tell who is logged in"):
        make_app(MessageFlow()).test_client().get("/socket_auth_token").json  # noqa: B018


def test_the_commands(url: str, flow: Flow) -> None:
    runner = make_app(MessageFlow(user=read_user_header), url).test_cli_runner()

    def run(*words: str) -> str:
        return str(runner.invoke(args=["messageflow", *words]).output)

    assert run("push", "bob", "report/ready", '{"id": 7}') == "#bob #1, stored (memory)\n"
    assert flow.history("#bob").publications[0].data == {"type": "report/ready", "payload": {"id": 7}}
    assert "* #" in run("broadcast", "news/added")
    assert run("publish", "news", "1") == "news #1, stored (memory)\n"
    assert run("online", "bob") == "no\n"
    assert run("revoke", "bob") == ""
    token = run("token", "bob").strip()
    assert Verifier(load_keys([TOKEN_SECRET])).connection(token, time.time()).user == "bob"
    assert "this is not JSON" in run("push", "bob", "t", "{")
    assert "'*' is everyone" in run("push", "*", "t")
    assert f"{url} answers, 1 worker\n" in (said := run("doctor"))
    assert "the function read_user_header" in said


def test_the_doctor_says_what_is_wrong() -> None:
    app = make_app(MessageFlow(), TOKEN_PATH="/token")
    result = app.test_cli_runner().invoke(args=["messageflow", "doctor"])
    assert result.exit_code == 1
    assert "gateway: " in result.output
    assert "nobody tells who is logged in" in result.output
