"""What `manage.py check` says of messageflow."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.flows import find_project
from messageflow.integrations.django.page_script import find_token_url


def check_settings(**_: Any) -> list[CheckMessage]:
    """Refuse settings that cannot be used, by their name."""
    try:
        find_project()
    except ConfigurationError as error:
        return [Error(str(error), id="messageflow.E001")]
    return []


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
