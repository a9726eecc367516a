"""Pushes that say what became of a model: created, updated, deleted; the page fetches the rest, with its own rights.

Owns nothing but receivers of Django's signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from messageflow.integrations.django.logins import name_user
from messageflow.integrations.django.project_flow import find_project
from messageflow.publisher import requests

SAVED = {True: "created", False: "updated"}


def notify_on_save(
    model: Any,
    to: str | Callable[[Any], Any] | None = None,
    *,
    channel: str | Callable[[Any], str | None] | None = None,
    payload: Callable[[Any], Any] | None = None,
    type: str | None = None,
) -> None:
    """Push whenever an object of a model was saved or deleted, once that is committed.

        notify_on_save(Order, to="customer")

    pushes `order/created`, `order/updated` and `order/deleted` with `{"id": 7}` to the customer of the order. What goes
    past signals, as `QuerySet.update` and `bulk_create` do, goes past this.

    Args:
        model: whose objects.
        to: the field with the user, or a function of the object that returns one, several or None.
        channel: where to publish the same instead, a name or a function of the object; None for nowhere.
        payload: a function of the object; else its primary key as `id`.
        type: what it is called before the slash; else the name of the model in lower case.

    Raises:
        TypeError: it is said to nobody, or twice to whom.
    """
    if (to is None) == (channel is None):
        raise TypeError("notify_on_save takes either to=…, whom to push to, or channel=…, where to publish")
    name = type or model._meta.model_name
    find = partial(_find_users, to) if to is not None else partial(_find_channels, channel)

    def notify(event: str, instance: Any, using: str) -> None:
        told = {"id": instance.pk} if payload is None else payload(instance)
        for target in find(instance):
            call = (
                requests.push(target, f"{name}/{event}", told)
                if to is not None
                else requests.publish(target, {"type": f"{name}/{event}", "payload": told})
            )
            transaction.on_commit(partial(find_project().flow._publish_later, call), using=using)

    def on_save(instance: Any, created: bool, raw: bool, using: str, **_: Any) -> None:
        if not raw:  # of a fixture, which is no change that somebody made
            notify(SAVED[created], instance, using)

    def on_delete(instance: Any, using: str, **_: Any) -> None:
        notify("deleted", instance, using)

    key = f"messageflow {name} {to} {channel}"
    post_save.connect(on_save, sender=model, weak=False, dispatch_uid=f"{key} saved")
    post_delete.connect(on_delete, sender=model, weak=False, dispatch_uid=f"{key} deleted")


def _find_users(to: str | Callable[[Any], Any], instance: Any) -> Iterator[Any]:
    found = getattr(instance, to) if isinstance(to, str) else to(instance)
    several = not isinstance(found, str) and isinstance(found, Iterable)
    for user in found if several else (found,):
        name = name_user(user)
        if name is not None:
            yield name


def _find_channels(channel: Any, instance: Any) -> Iterator[str]:
    found = channel if isinstance(channel, str) else channel(instance)
    if found is not None:
        yield found
