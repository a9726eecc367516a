"""The application as Django starts it: whatever is wrong is said then.

Owns what is connected at the start. Never asks a gateway: it may begin later.
"""

from __future__ import annotations

import sys
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out
from django.core.checks import register
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from messageflow.errors import ConfigurationError
from messageflow.integrations.app_settings import PREFIX


class MessageflowConfig(AppConfig):  # type: ignore[misc]
    """`messageflow` among the applications of a project."""

    name = "messageflow.integrations.django"
    label = "messageflow"
    verbose_name = "messageflow"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Look at the settings, and connect to what Django tells.

        Raises:
            ImproperlyConfigured: a setting cannot be used; the message names it. Below `manage.py` the system checks
                say so.
        """
        from messageflow.integrations.django import checks, logins, project_flow

        register(checks.check_settings)
        register(checks.check_channel_layers)
        register(checks.check_urls)
        setting_changed.connect(_forget, dispatch_uid=f"{__name__}.forget")
        user_logged_out.connect(logins.revoke, dispatch_uid=f"{__name__}.revoke")
        if _is_below_manage():
            return
        try:
            project_flow.find_project()
            checks.make_channel_layers()
        except ConfigurationError as error:
            raise ImproperlyConfigured(str(error)) from error


def _is_below_manage() -> bool:
    """Whether a management command starts Django: it performs the system checks itself."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "execute" and frame.f_globals.get("__name__") == "django.core.management":
            return True
    return False


def _forget(setting: str, **_: Any) -> None:
    """Settings are overridden, by a test."""
    from messageflow.integrations.django import project_flow

    if setting == PREFIX.rstrip("_") or setting.startswith(PREFIX):
        project_flow.find_project.cache_clear()
