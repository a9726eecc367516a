"""What is pushed when the database has committed, and never where it rolls back.

A page that is told before the commit fetches what is not there yet; one that is told of what was rolled back, what
never was.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from messageflow.integrations.django.logins import name_user
from messageflow.integrations.django.project_flow import find_project
from messageflow.publisher import requests
from messageflow.publisher.arguments import Sender
from messageflow.typed.kinds import find_type
from messageflow.typed.message import TypedMessage


def push_on_commit(
    user: Any,
    type: str | TypedMessage,
    payload: Any = None,
    *,
    idempotency_key: str | None = None,
    exclude: Sender | None = None,
    using: str | None = None,
) -> None:
    """Push to a user once the transaction around has committed; at once where there is none.

    A commit neither waits for a gateway nor fails for one: it is sent as by `flow.later`, in order, and again for ten
    minutes. What must survive the process is for `push_in_transaction`.

    Args:
        user: of Django, or their name.
        type, payload, idempotency_key, exclude: as `Flow.push` takes them; what is wrong is raised here and now.
        using: of which database; else the default one.

    Raises:
        LookupError: nobody is logged in.
    """
    name = require_user(user, type)
    call = requests.push(name, type, payload, idempotency_key=idempotency_key, exclude=exclude)
    transaction.on_commit(partial(find_project().flow._publish_later, call), using=using)


def require_user(user: Any, type: str | TypedMessage) -> Any:
    """Return what a user is called.

    Raises:
        LookupError: it is nobody.
    """
    name = name_user(user)
    if name is None:
        raise LookupError(f"a push of {find_type(type)!r} to nobody: nobody is logged in")
    return name
