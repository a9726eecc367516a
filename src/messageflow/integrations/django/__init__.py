"""Django: push from views, models and jobs, when the transaction has committed.

    INSTALLED_APPS = [..., "messageflow.integrations.django"]
    urlpatterns = [..., path("", include("messageflow.integrations.django.urls"))]

    from messageflow.integrations.django import flow, push_on_commit

    apps                      the application as Django starts it
    django_settings           `MESSAGEFLOW = {...}` or `MESSAGEFLOW_…`
    project_flow              the flow of the project, to call and to await
    logins                    what people of Django are called
    commits                   what waits for the database to commit
    commit_transaction        the same for a block of pushes
    outbox_writing, models    pushes that are rows of the application's own transaction
    outbox_draining           how those are sent; outbox_drain_thread, by what
    notify                    pushes of what models become
    page_script, views, urls  the script tag, the token and the webhook
    stream_view               an event stream as the answer of a view
    checks                    what `manage.py check` says
    templatetags, management  what Django finds by the name of the folder

Names are loaded when they are first used, since Django imports this before there are models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from messageflow.extras import needing

with needing("messageflow.integrations.django", "django"):
    import django  # noqa: F401

if TYPE_CHECKING:
    from messageflow.integrations.django.commits import push_on_commit as push_on_commit
    from messageflow.integrations.django.notify import notify_on_save as notify_on_save
    from messageflow.integrations.django.outbox_writing import Outbox as Outbox
    from messageflow.integrations.django.outbox_writing import outbox as outbox
    from messageflow.integrations.django.outbox_writing import push_in_transaction as push_in_transaction
    from messageflow.integrations.django.page_script import amark_position as amark_position
    from messageflow.integrations.django.page_script import mark_position as mark_position
    from messageflow.integrations.django.project_flow import async_flow as async_flow
    from messageflow.integrations.django.project_flow import flow as flow
    from messageflow.integrations.django.stream_view import event_stream as event_stream

_PLACES = {
    "flow": "project_flow",
    "async_flow": "project_flow",
    "push_on_commit": "commits",
    "push_in_transaction": "outbox_writing",
    "Outbox": "outbox_writing",
    "outbox": "outbox_writing",
    "notify_on_save": "notify",
    "mark_position": "page_script",
    "amark_position": "page_script",
    "event_stream": "stream_view",
}
__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
