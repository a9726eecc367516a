"""What the settings of a project say: `MESSAGEFLOW = {"URL": …}`, or a `MESSAGEFLOW_URL` each.

Most of them are those of all frameworks, `integrations.app_settings`; here are those that only Django has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from messageflow.errors import ConfigurationError
from messageflow.integrations.app_settings import PREFIX, ToldSettings, name_settings, read_settings


class DjangoSettings(NamedTuple):
    """What a project says.

    Args:
        told: what every framework may.
        user: returns what a user of Django is called in pushes and tokens; None for their primary key.
        token_options: returns what `Flow.token` is told beside that, such as `allow`.
        outbox_thread: whether a thread of each process drains the outbox.
    """

    told: ToldSettings
    user: Callable[[Any], Any] | None
    token_options: Callable[[Any], Mapping[str, Any]] | None
    outbox_thread: bool


def read_django_settings() -> DjangoSettings:
    """Return what the settings of this project say.

    Raises:
        ConfigurationError: one cannot be used; the message names it.
    """
    told = _collect()
    user, token_options = (_find_function(PREFIX + name, told.pop(PREFIX + name, None)) for name in FUNCTIONS)
    outbox_thread = told.pop(PREFIX + "OUTBOX_THREAD", False)
    if not isinstance(outbox_thread, bool):
        raise ConfigurationError(f"{PREFIX}OUTBOX_THREAD is {outbox_thread!r}: write True or False")
    return DjangoSettings(read_settings(told, os.environ), user, token_options, outbox_thread)


FUNCTIONS = ("USER", "TOKEN_OPTIONS")


def _collect() -> dict[str, Any]:
    grouped = getattr(settings, PREFIX.rstrip("_"), {})
    if not isinstance(grouped, Mapping):
        raise ConfigurationError(f"MESSAGEFLOW is a {type(grouped).__name__}: write a dict, such as {{'URL': '…'}}")
    told = name_settings(grouped)
    for name in dir(settings):
        if name.startswith(PREFIX):
            if name in told:
                raise ConfigurationError(f"{name} stands twice in the settings: by itself, and in MESSAGEFLOW")
            told[name] = getattr(settings, name)
    return told


def _find_function(key: str, value: Any) -> Callable[[Any], Any] | None:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as error:
            raise ConfigurationError(f"{key}: {error}") from error
    if value is not None and not callable(value):
        raise ConfigurationError(f"{key} is a {type(value).__name__}: write a function of a user, or its dotted name")
    function: Callable[[Any], Any] | None = value
    return function
