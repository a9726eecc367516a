"""The addresses of messageflow in a project: `path("", include("messageflow.integrations.django.urls"))`."""

from __future__ import annotations

from typing import Any

from django.urls import path

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.project_flow import find_project
from messageflow.integrations.django.views import hooks, token


def _make_patterns() -> list[Any]:
    try:
        told = find_project().settings.told
    except ConfigurationError:  # which the system checks say, that cannot speak where this raises
        return []
    addresses = (told.token_path, token, "token"), (told.hooks_path, hooks, "hooks")
    return [path(address.lstrip("/"), view, name=name) for address, view, name in addresses if address is not None]


app_name = "messageflow"
urlpatterns = _make_patterns()
