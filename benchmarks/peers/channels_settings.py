"""Django's settings for both programs, with the channel layer over Redis as its documentation has it, or in memory."""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import os

import django
from django.conf import settings

from benchmarks.peers.sending import LAYER, redis_url


def configure() -> None:
    """Set Django up."""
    url = redis_url()
    layer = {"BACKEND": os.environ[LAYER], "CONFIG": {"hosts": [url]} if url else {}}
    settings.configure(
        SECRET_KEY="of a benchmark",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["channels"],
        CHANNEL_LAYERS={"default": layer},
    )
    django.setup()
