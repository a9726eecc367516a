"""Pushes that are rows of the application's own transaction: stored with it, rolled back with it, and sent afterwards.

    push_in_transaction(order.customer, "order/paid", {"id": order.pk})

Owns how a push becomes a row. Never sends: `outbox_draining` does.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from messageflow.integrations.django.commits import require_user
from messageflow.integrations.django.models import OutboxPush
from messageflow.integrations.django.outbox_drain_thread import wake
from messageflow.integrations.django.project_flow import find_project
from messageflow.publisher import requests
from messageflow.publisher.arguments import Sender
from messageflow.publisher.call import Call
from messageflow.publisher.collector import CallCollector
from messageflow.publisher.results import Receipt
from messageflow.typed.message import TypedMessage


class Outbox(CallCollector):
    """Takes `push`, `broadcast` and `publish` into the table.

    Args:
        using: of which database; else the one where the table is written.
    """

    def __init__(self, using: str | None = None) -> None:
        self._using = using

    def _add(self, call: Call[Receipt]) -> None:
        row = OutboxPush(method=call.method, body=call.body.decode())
        row.save(using=self._using, force_insert=True)
        if find_project().settings.outbox_thread:
            using = row._state.db
            transaction.on_commit(lambda: wake(using), using=using)


outbox = Outbox()


def push_in_transaction(
    user: Any,
    type: str | TypedMessage,
    payload: Any = None,
    *,
    idempotency_key: str | None = None,
    exclude: Sender | None = None,
    using: str | None = None,
) -> None:
    """Push to a user with the transaction around: it is a row that commits with it, and that `messageflow_drain` sends.

    So it is lost by no crash, and never sent for what was rolled back. Arguments and errors as of `push_on_commit`.
    """
    name = require_user(user, type)
    call = requests.push(name, type, payload, idempotency_key=idempotency_key, exclude=exclude)
    Outbox(using)._add(call)
