"""What people of Django are called in pushes and tokens, and what ends with their login."""

from __future__ import annotations

from typing import Any

from messageflow.integrations.django.project_flow import find_project
from messageflow.integrations.site import read_name
from messageflow.publisher.arguments import User


def name_user(user: Any) -> User | None:
    """Return what a user of Django is called, None for nobody; a name stays as it is.

    Args:
        user: `request.user`, a user from the database, or a name.
    """
    if user is None:
        return None
    if not hasattr(user, "is_authenticated"):
        named: User = user
        return named
    if not user.is_authenticated:
        return None
    function = find_project().settings.user
    return read_name(user.pk if function is None else function(user))


def revoke(user: Any = None, **_: Any) -> None:
    """Cut off who has logged out, on all their pages; those of other devices fetch a new token."""
    project = find_project()
    name = name_user(user)
    if name is None or not project.settings.told.revoke_on_logout:
        return
    project.site.revoke(name)
