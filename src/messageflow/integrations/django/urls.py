"""The addresses of messageflow in a project: `path("", include("messageflow.integrations.django.urls"))`."""

from __future__ import annotations

from django.urls import path

from messageflow.integrations.django.flows import find_project
from messageflow.integrations.django.views import hooks, token

app_name = "messageflow"
_told = find_project().settings.told
urlpatterns = [
    path(address.lstrip("/"), view, name=name)
    for address, view, name in ((_told.token_path, token, "token"), (_told.hooks_path, hooks, "hooks"))
    if address is not None
]
