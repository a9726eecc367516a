from __future__ import annotations

from django.conf import settings
from django.db import models

from messageflow.integrations.django import push_on_commit


class Job(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    percent = models.PositiveSmallIntegerField(default=0)

    def reach(self, percent: int) -> None:
        """Save how far it is, for pages that are loaded; and tell those that are open, once it is committed."""
        self.percent = percent
        self.save()
        push_on_commit(self.owner, "job/progress", self.describe())

    def describe(self) -> dict[str, int]:
        return {"id": self.pk, "percent": self.percent}
