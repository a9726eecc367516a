"""What `manage.py check` says of messageflow."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.page_script import find_token_url
from messageflow.integrations.django.project_flow import find_project


def check_settings(**_: Any) -> list[CheckMessage]:
    """Refuse settings that cannot be used, by their name."""
    try:
        find_project()
    except ConfigurationError as error:
        return [Error(str(error), id="messageflow.E001")]
    return []


def check_channel_layers(**_: Any) -> list[CheckMessage]:
    """Refuse what `CHANNEL_LAYERS` says of a layer of ours and cannot be used, by its name."""
    try:
        make_channel_layers()
    except ConfigurationError as error:
        return [Error(str(error), id="messageflow.E002")]
    return []


def make_channel_layers() -> None:
    """Make those layers of Channels that are ours, as the first consumer would.

    Raises:
        ConfigurationError: one of them cannot be used; the message names what it was told.
    """
    for layer in getattr(settings, "CHANNEL_LAYERS", {}).values():
        if str(layer.get("BACKEND", "")).startswith("messageflow."):
            try:
                import_string(layer["BACKEND"])(**layer.get("CONFIG", {}))
            except ImportError as error:
                raise ConfigurationError(f"BACKEND in CHANNEL_LAYERS: {error}") from error


def check_urls(**_: Any) -> list[CheckMessage]:
    """Warn of a project whose pages would find no token."""
    if check_settings() or find_project().settings.told.token_path is None or not _has_urls():
        return []
    try:
        find_token_url()
    except ConfigurationError as error:
        return [Warning(str(error), id="messageflow.W001")]
    return []


def _has_urls() -> bool:
    return bool(getattr(settings, "ROOT_URLCONF", None))
