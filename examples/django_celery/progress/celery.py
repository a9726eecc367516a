"""Celery, as in any Django project."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "progress.settings")
celery = Celery("progress", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379"))
celery.autodiscover_tasks(["progress"])
