"""How rows of the outbox are sent: in order, each until the gateway has stored it, and stored once.

A row goes once its receipt is there. Killed between the two, the next drain sends it again with the key it has, and
the gateway, which remembers keys for ten minutes, stores no second one. Drainers beside each other take different rows
where the database can lock them; where it cannot they send the same, and it is stored once all the same.

Owns no thread and no pause.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from django.db import connections, router, transaction

from messageflow.errors import PublishError
from messageflow.integrations.django.models import OutboxPush
from messageflow.integrations.django.project_flow import find_project
from messageflow.publisher.batch import COMMANDS, BatchRefused
from messageflow.publisher.blocks import SyncBatch
from messageflow.publisher.call import Call
from messageflow.publisher.responses import read_receipt

log = logging.getLogger("messageflow.django")


class Drained(NamedTuple):
    """What became of the rows of one drain.

    Args:
        sent: are stored at the gateway, and gone here.
        refused: the gateway said no; they stay, with what it said.
        error: why the others stay: the gateway is away.
    """

    sent: int = 0
    refused: int = 0
    error: PublishError | None = None


def drain_once(using: str | None = None, most: int = COMMANDS) -> Drained:
    """Send the oldest rows of the outbox.

    Args:
        using: of which database; else the one where the table is written.
        most: how many.
    """
    alias = using or router.db_for_write(OutboxPush)
    features = connections[alias].features
    waiting = OutboxPush.objects.using(alias).filter(refused="").order_by("id")
    if not features.has_select_for_update:  # as of SQLite, where a transaction would keep everybody else from writing
        return _send(list(waiting[:most]), alias)
    with transaction.atomic(using=alias):
        rows = waiting.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
        return _send(list(rows[:most]), alias)


def drain(using: str | None = None, most: int = COMMANDS) -> Drained:
    """Send all rows of the outbox, so many at once, until none is left or the gateway is away."""
    sent = refused = 0
    while True:
        drained = drain_once(using, most)
        sent, refused = sent + drained.sent, refused + drained.refused
        if drained.error is not None or not (drained.sent or drained.refused):
            return Drained(sent, refused, drained.error)


def _send(rows: list[Any], using: str) -> Drained:
    if not rows:
        return Drained()
    batch, error = SyncBatch(find_project().flow), None
    for row in rows:
        batch._add(Call(row.method, row.body.encode(), read_receipt, stores=True))
    try:
        batch.send()
    except BatchRefused:
        pass  # told of each below
    except PublishError as raised:
        error = raised
    stored = [row.pk for row, receipt in zip(rows, batch.receipts, strict=True) if receipt is not None]
    for place, refusal in batch.failures.items():
        log.error("messageflow: the gateway refused push %s of the outbox: %s", rows[place].pk, refusal)
        OutboxPush.objects.using(using).filter(pk=rows[place].pk).update(refused=str(refusal))
    OutboxPush.objects.using(using).filter(pk__in=stored).delete()
    return Drained(len(stored), len(batch.failures), error)
