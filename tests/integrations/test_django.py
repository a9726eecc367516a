"""`messageflow.integrations.django` in a Django project, before a real gateway."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation

from messageflow import Event, Flow
from messageflow.core.event_ids import EventId
from messageflow.core.stream import Position
from messageflow.core.token_verifier import Verifier, load_keys
from messageflow.core.webhook_signatures import sign
from tests.integrations import django_site
from tests.integrations.conftest import HOOKS_SECRET
from tests.integrations.django_site import AWAY
from tests.integrations.test_script_tag import Tags
from tests.support import API_KEY, TOKEN_SECRET, Running

KEYS = {"API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET}
TOKENS = Verifier(load_keys([TOKEN_SECRET]))


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    django_site.configure(str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


@pytest.fixture
def url(gateway: Running, settings: Any) -> str:
    settings(MESSAGEFLOW={"URL": gateway.url, **KEYS})
    return gateway.url


@pytest.fixture
def settings() -> Iterator[Any]:
    """Overrides settings until the test ends."""
    from django.test import override_settings

    entered: list[Any] = []

    def override(**told: Any) -> None:
        entered.append(override_settings(**told))
        entered[-1].enable()

    yield override
    for each in reversed(entered):
        each.disable()


@pytest.fixture
def flow(url: str) -> Iterator[Flow]:
    with Flow(url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


@pytest.fixture
def alice() -> Any:
    from django.contrib.auth.models import User

    return User.objects.get_or_create(username="alice")[0]


@pytest.fixture
def browser(alice: Any) -> Any:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    return browser


def tag_of(response: Any) -> dict[str, str | None]:
    (_, told), *_ = Tags(response.content.decode()).tags
    return told


def read_stream(response: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Return the query of the stream that a page listens to, and what its ticket says."""
    source = Tags(response.content.decode()).tags[1][1]["src"] or ""
    query = parse_qs(source.removeprefix("/connection/uni_sse?"))
    return query, jwt.decode(query["ticket"][0], TOKEN_SECRET, ["HS256"])


def count(flow: Flow, user: Any) -> int:
    from messageflow.integrations.django import flow as project_flow

    project_flow.later.flush()
    return flow.history(f"#{user}", limit=0).offset


# Who is there


@pytest.mark.parametrize("path", ["/socket_auth_token", "/atoken"])
async def test_the_token_is_of_who_is_logged_in_and_nobody_gets_401(path: str, settings: Any) -> None:
    from asgiref.sync import sync_to_async
    from django.contrib.auth.models import User
    from django.test import AsyncClient

    settings(MESSAGEFLOW_TOKEN_OPTIONS="tests.integrations.django_site.give_options", MESSAGEFLOW_USER=named)
    browser = AsyncClient()
    nobody = await browser.get(path)
    assert (nobody.status_code, nobody.json()) == (401, {"error": "nobody is logged in"})
    alice, _ = await User.objects.aget_or_create(username="alice")
    await sync_to_async(browser.force_login)(alice)
    response = await browser.get(path)
    claims = TOKENS.connection(response.json()["token"], time.time())
    assert (claims.user, [grant.pattern for grant in claims.grants]) == ("alice", ["news:*"])
    assert response["Cache-Control"] == "no-store"


def named(user: Any) -> str:
    return django_site.name_by_username(user)


def test_a_user_is_called_by_their_primary_key(browser: Any, alice: Any) -> None:
    token = browser.get("/socket_auth_token").json()["token"]
    assert TOKENS.connection(token, time.time()).user == str(alice.pk)


def test_a_logout_revokes_and_is_one_though_the_gateway_is_away(
    browser: Any, alice: Any, settings: Any, gateway: Running, caplog: pytest.LogCaptureFixture
) -> None:
    from django.contrib.auth import user_logged_out

    user_logged_out.send(type(alice), request=None, user=alice)
    assert f"{alice.pk} logged out and could not be cut off" in caplog.text
    caplog.clear()
    settings(MESSAGEFLOW={"URL": gateway.url, **KEYS})
    browser.logout()
    user_logged_out.send(type(alice), request=None, user=alice)
    assert caplog.text == ""


# What a page is given


def test_the_page_is_told_where_it_begins(flow: Flow, browser: Any, alice: Any) -> None:
    from django.test import Client

    flow.push(alice.pk, "before")
    expected = flow.position(alice.pk)
    for path in ("/", "/async?marked"):
        response = browser.get(path)
        told = tag_of(response)
        assert json.loads(told.pop("data-since") or "") == expected
        assert told == {"src": "/messageflow.js", "data-token-url": "/socket_auth_token"}
    assert b"&lt;shown&gt;" in response.content
    assert "data-since" not in tag_of(browser.get("/async"))  # where a template cannot wait
    assert Client().get("/").status_code == 302  # to a login, as the project wants it


def test_a_page_that_a_library_changes_has_its_element(browser: Any, url: str, alice: Any, flow: Flow) -> None:
    expected = Position(**flow.position(alice.pk)[f"#{alice.pk}"])
    for path in ("/", "/async?marked"):
        query, ticket = read_stream(browser.get(path))
        assert (query["as"], ticket["sub"], ticket["channels"]) == (["turbo"], str(alice.pk), ["jobs", "news"])
        assert EventId(query["last_event_id"][0]).find(f"#{alice.pk}") == expected
    assert "last_event_id" not in read_stream(browser.get("/async"))[0]  # where a template cannot wait


def test_a_page_is_shown_though_the_gateway_is_away(browser: Any) -> None:
    assert "data-since" not in tag_of(browser.get("/"))


def test_the_nonce_is_that_of_the_page() -> None:
    from django.template import engines
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.csp_nonce = 'n"1'  # as django-csp has it
    template = engines["django"].from_string(django_site.PAGE)
    assert Tags(template.render({}, request)).tags[0][1]["nonce"] == 'n"1'
    assert Tags(template.render({"csp_nonce": "n2"})).tags[0][1]["nonce"] == "n2"  # as Django 6 has it


# When the database has committed


def test_what_is_pushed_waits_for_the_commit(flow: Flow, alice: Any) -> None:
    from django.db import transaction

    from messageflow.integrations.django import flow as project_flow
    from messageflow.integrations.django import push_on_commit

    before = count(flow, alice.pk)
    with transaction.atomic():
        push_on_commit(alice, "order/paid", {"id": 7})
        with project_flow.transaction() as collected:
            project_flow.push(alice.pk, "order/sent")
        assert (count(flow, alice.pk), collected.receipts) == (before, [None])
    assert count(flow, alice.pk) == before + 2
    assert collected.receipts[0] is not None
    push_on_commit(alice.pk, "at/once")
    assert count(flow, alice.pk) == before + 3


def test_what_is_rolled_back_is_not_pushed(flow: Flow, alice: Any) -> None:
    from django.db import transaction

    from messageflow.integrations.django import flow as project_flow
    from messageflow.integrations.django import push_on_commit

    before = count(flow, alice.pk)
    with transaction.atomic():
        push_on_commit(alice, "order/paid")
        with project_flow.transaction():
            project_flow.push(alice.pk, "order/sent")
        transaction.set_rollback(True)
    assert count(flow, alice.pk) == before


def test_what_is_wrong_with_a_push_is_raised_there_and_not_at_the_commit() -> None:
    from django.contrib.auth.models import AnonymousUser
    from django.db import transaction

    from messageflow.integrations.django import push_on_commit

    with transaction.atomic():
        with pytest.raises(TypeError, match="payload"):
            push_on_commit("alice", "t", object())
        with pytest.raises(LookupError, match="nobody is logged in"):
            push_on_commit(AnonymousUser(), "t")


def test_a_commit_does_not_fail_for_a_gateway_that_is_away() -> None:
    from django.db import transaction

    from messageflow.integrations.django import push_on_commit

    with transaction.atomic():
        push_on_commit("nobody-there", "t")


# Models


def test_what_becomes_of_a_model_is_told(flow: Flow, alice: Any) -> None:
    from django.contrib.auth.models import Group

    from messageflow.integrations.django import notify_on_save

    before = count(flow, alice.pk)
    notify_on_save(Group, to=lambda group: [alice, None])
    notify_on_save(Group, channel="groups", payload=lambda group: group.name, type="team")
    group = Group.objects.create(name="staff")
    group.save()
    key = group.pk
    group.save_base(raw=True)  # as loaddata does
    group.delete()
    assert count(flow, alice.pk) == before + 3
    told = [each.data for each in flow.history(f"#{alice.pk}", limit=3, reverse=True).publications]
    events = ["group/created", "group/updated", "group/deleted"]
    assert told[::-1] == [{"type": event, "payload": {"id": key}} for event in events]
    assert flow.history("groups").publications[0].data == {"type": "team/created", "payload": "staff"}
    with pytest.raises(TypeError, match="either to=…"):
        notify_on_save(Group)


# Async views


async def test_a_flow_that_would_hold_up_an_event_loop_says_so(url: str, settings: Any) -> None:
    from django.test import AsyncClient

    from messageflow.integrations.django import async_flow, flow

    settings(MIDDLEWARE=[])
    with pytest.raises(SynchronousOnlyOperation, match=r"flow.push waits .* await async_flow.push"):
        await AsyncClient().get("/blocking")
    with pytest.raises(SynchronousOnlyOperation, match=r"async with async_flow\.transaction"):
        flow.transaction()
    assert flow.token("alice")  # is made here
    assert (await async_flow.push("awaited", "t")).channel == "#awaited"
    await async_flow.close()


# Handlers


def test_a_gateway_elsewhere_asks_the_handlers(settings: Any) -> None:
    from django.test import Client

    from messageflow.integrations.django import flow

    settings(MESSAGEFLOW={"HOOKS_SECRET": HOOKS_SECRET})

    @flow.rpc("count people")
    def tell(event: Event) -> Any:
        from django.contrib.auth.models import User

        return {"people": User.objects.filter(username="nobody").count(), "data": event.data}

    fields: dict[str, Any] = {"user": "alice", "client": "c", "channel": "", "headers": {}, "address": "", "info": None}
    asked = {**fields, "name": "count people", "data": 1, "verb": "", "code": 0, "reason": ""}
    body = json.dumps({"kind": "rpc", "seconds": 5.0, "events": [asked]}).encode()
    now, browser = int(time.time()), Client(enforce_csrf_checks=True)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = sign(HOOKS_SECRET.encode(), "m1", now, body)
    answer = browser.post("/messageflow/hooks", body, content_type="application/json", headers=headers)
    assert answer.json()["results"] == [{"result": {"people": 0, "data": 1}}]
    assert browser.post("/messageflow/hooks", body, content_type="application/json").status_code == 401


# Settings


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"MESSAGEFLOW_TOKEN_TLL": 5}, "MESSAGEFLOW_TOKEN_TLL is no setting: did you mean MESSAGEFLOW_TOKEN_TTL"),
        ({"MESSAGEFLOW": {"URL": "nowhere"}}, "MESSAGEFLOW_URL"),
        ({"MESSAGEFLOW": "http://gateway"}, "MESSAGEFLOW is a str"),
        ({"MESSAGEFLOW_URL": "http://other"}, "MESSAGEFLOW_URL stands twice"),
        ({"MESSAGEFLOW_USER": "nowhere.name"}, "MESSAGEFLOW_USER: No module named 'nowhere'"),
        ({"MESSAGEFLOW_USER": 5}, "MESSAGEFLOW_USER is a int"),
    ],
)
def test_a_wrong_setting_fails_in_the_checks_and_at_the_start(settings: Any, told: dict[str, Any], named: str) -> None:
    from django.apps import apps
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    settings(**told)
    with pytest.raises(SystemCheckError, match=named):
        call_command("check")
    with pytest.raises(ImproperlyConfigured, match=named):
        apps.get_app_config("messageflow").ready()


def test_below_manage_a_wrong_setting_is_a_line_of_the_checks(tmp_path: Path) -> None:
    (tmp_path / "site_settings.py").write_text(
        'SECRET_KEY = "s"\nINSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", '
        '"messageflow.integrations.django"]\nMESSAGEFLOW_URL = "nowhere"\nROOT_URLCONF = "site_urls"\n'
    )
    (tmp_path / "site_urls.py").write_text(
        "from django.urls import include, path\n"
        'urlpatterns = [path("", include("messageflow.integrations.django.urls"))]\n'
    )
    words = [sys.executable, "-m", "django", "check", "--settings", "site_settings"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "?: (messageflow.E001) MESSAGEFLOW_URL: " in ran.stderr
    assert "Traceback" not in ran.stderr


def test_pages_without_the_addresses_are_warned_of(settings: Any) -> None:
    from django.core.management import call_command

    settings(ROOT_URLCONF="tests.integrations.django_nowhere")
    said = StringIO()
    call_command("check", stderr=said)
    assert "messageflow.W001" in said.getvalue()


# Commands


def test_the_commands(url: str, flow: Flow) -> None:
    from django.core.management import CommandError, call_command

    def run(*words: str) -> str:
        said = StringIO()
        call_command("messageflow", *words, stdout=said)
        return said.getvalue().strip()

    assert run("push", "bertha", "report/ready", '{"id": 7}') == "#bertha #1, stored (memory)"
    assert flow.history("#bertha").publications[0].data == {"type": "report/ready", "payload": {"id": 7}}
    assert "* #" in run("broadcast", "news/added")
    assert run("publish", "djangos", "1") == "djangos #1, stored (memory)"
    assert run("online", "bertha") == "no"
    assert run("revoke", "bertha") == ""
    assert TOKENS.connection(run("token", "bertha"), time.time()).user == "bertha"
    with pytest.raises(CommandError, match="this is not JSON"):
        run("push", "bertha", "t", "{")
    assert f"{url} answers, 1 worker" in run("doctor")


def test_the_doctor_says_what_is_wrong() -> None:
    from django.core.management import CommandError, call_command

    said = StringIO()
    with pytest.raises(CommandError, match="not all is well"):
        call_command("messageflow", "doctor", stdout=said)
    assert AWAY in said.getvalue()
