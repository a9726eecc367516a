"""The outbox of a Django project: what commits with a transaction is stored at the gateway once, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from messageflow import Flow
from tests.integrations import django_site
from tests.integrations.django_site import AWAY
from tests.support import API_KEY, TOKEN_SECRET, Running
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
DRAIN = """
import sys
from tests.integrations import django_site
from django.core.management import execute_from_command_line
django_site.configure(sys.argv[1], MESSAGEFLOW={})
execute_from_command_line(["manage.py", *sys.argv[2:]])
"""
ROWS = 400


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = django_site.configure(str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield name
    connections.close_all()


@pytest.fixture
def flow(gateway: Running, database: str) -> Iterator[Flow]:
    from django.test import override_settings

    told = {"URL": gateway.url, "API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET}
    with override_settings(MESSAGEFLOW=told), Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


def numbers(flow: Flow, user: str) -> list[int]:
    return [each.data["payload"] for each in flow.history(f"#{user}", limit=1000).publications]


def waiting() -> int:
    from messageflow.integrations.django.models import OutboxPush

    return int(OutboxPush.objects.filter(refused="").count())


def test_the_migration_makes_what_the_models_say(database: str) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "messageflow", check=True, dry_run=True, verbosity=0)


def test_a_push_commits_with_the_transaction_and_is_sent_by_the_command(flow: Flow) -> None:
    from django.core.management import call_command
    from django.db import transaction

    from messageflow.integrations.django import outbox, push_in_transaction

    with transaction.atomic():
        push_in_transaction("ann", "paid", 1)
        transaction.set_rollback(True)
    with transaction.atomic():
        push_in_transaction("ann", "paid", 2)
        outbox.publish("orders", {"id": 2})
    assert (numbers(flow, "ann"), waiting()) == ([], 2)
    said = StringIO()
    call_command("messageflow_drain", once=True, stdout=said)
    assert said.getvalue() == "2 sent, 0 refused\n"
    assert (numbers(flow, "ann"), waiting()) == ([2], 0)
    assert flow.history("orders").publications[0].data == {"id": 2}


def test_what_was_stored_and_not_taken_away_is_not_stored_again(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    from messageflow.integrations.django import outbox_draining, push_in_transaction
    from messageflow.integrations.django.models import OutboxPush

    for number in range(5):
        push_in_transaction("ben", "n", number)
    with monkeypatch.context() as patched:
        patched.setattr(OutboxPush.objects, "using", lambda alias: _DiesAtDeletion(alias))
        with pytest.raises(SystemExit):
            outbox_draining.drain_once()
    assert (numbers(flow, "ben"), waiting()) == ([*range(5)], 5)
    assert outbox_draining.drain().sent == 5
    assert (numbers(flow, "ben"), waiting()) == ([*range(5)], 0)


class _DiesAtDeletion:
    def __init__(self, alias: str) -> None:
        from messageflow.integrations.django.models import OutboxPush

        self._rows = OutboxPush._default_manager.db_manager(alias)

    def filter(self, **asked: Any) -> Any:
        if "pk__in" in asked:
            raise SystemExit
        return self._rows.all().filter(**asked)


def test_a_drainer_that_is_killed_loses_nothing_and_sends_nothing_twice(flow: Flow, database: str) -> None:
    from django.db import transaction

    from messageflow.integrations.django import Outbox, outbox_draining

    with transaction.atomic():
        for number in range(ROWS):
            Outbox().push("cora", "n", number)
    environment = {
        **os.environ,
        "MESSAGEFLOW_URL": flow.url,
        "MESSAGEFLOW_API_KEY": API_KEY,
        "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
    }
    words = [sys.executable, "-c", DRAIN, database, "messageflow_drain", "--batch", "2"]
    drainer = subprocess.Popen(words, env=environment, cwd=ROOT)
    try:
        wait_until(lambda: flow.history("#cora", limit=0).offset > 0)
    finally:
        drainer.send_signal(signal.SIGKILL)
        drainer.wait()
    assert waiting() > 0, "it was not in the middle"
    assert outbox_draining.drain().error is None
    assert (numbers(flow, "cora"), waiting()) == ([*range(ROWS)], 0)


def test_drainers_beside_each_other_send_nothing_twice(flow: Flow) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    from messageflow.integrations.django import outbox_draining, push_in_transaction

    def drain(_: int) -> int:
        try:
            return outbox_draining.drain(most=3).sent
        finally:
            connections.close_all()

    for number in range(30):
        push_in_transaction("dora", "n", number)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(drain, range(3)))
    assert (sorted(numbers(flow, "dora")), waiting()) == ([*range(30)], 0)


def test_while_the_gateway_is_away_rows_wait_and_the_command_says_so(database: str) -> None:
    from django.core.management import CommandError, call_command
    from django.test import override_settings

    from messageflow.integrations.django import outbox_draining, push_in_transaction
    from messageflow.integrations.django.models import OutboxPush

    with override_settings(MESSAGEFLOW={"URL": AWAY, "API_KEY": API_KEY, "TIMEOUT": 0.2}):
        push_in_transaction("emil", "n", 1)
        with pytest.raises(CommandError, match=AWAY):
            call_command("messageflow_drain", once=True, stderr=StringIO())
        assert (waiting(), outbox_draining.drain_once().sent) == (1, 0)
    OutboxPush.objects.all().delete()


def test_what_the_gateway_refuses_stays_with_the_reason_and_keeps_nobody_waiting(flow: Flow) -> None:
    from django.core.management import call_command

    from messageflow.integrations.django import outbox, push_in_transaction
    from messageflow.integrations.django.models import OutboxPush

    outbox.publish("nowhere:x", 1)
    push_in_transaction("fred", "n", 1)
    said = StringIO()
    call_command("messageflow_drain", once=True, stdout=said)
    assert said.getvalue() == "1 sent, 1 refused\n"
    (row,) = OutboxPush.objects.all()
    assert "unknown channel" in row.refused
    call_command("messageflow_drain", once=True, retry_refused=True, stdout=said)
    assert said.getvalue().endswith("0 sent, 1 refused\n")
    row.delete()


def test_a_thread_drains_where_the_settings_say_so(flow: Flow) -> None:
    from django.db import transaction
    from django.test import override_settings

    from messageflow.integrations.django import push_in_transaction

    with override_settings(MESSAGEFLOW_OUTBOX_THREAD=True), transaction.atomic():
        push_in_transaction("gina", "n", 1)
        assert waiting() == 1
    wait_until(lambda: numbers(flow, "gina") == [1] and waiting() == 0)
