"""A Django project whose Celery tasks tell the page how far they are."""

from progress.celery import celery as celery
