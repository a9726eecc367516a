"""The outbox: one row a push that was made in a transaction, until it is stored at the gateway.

Owns the table. Never sends: `outbox_writing` writes rows, `outbox_draining` takes them away.
"""

from __future__ import annotations

from django.db import models


class OutboxPush(models.Model):  # type: ignore[misc]
    """A call that waits. Its idempotency key is in its body, so that the gateway stores it once however often it comes.

    The key is the row's own and no number: numbers begin anew with a new database, within the time that a gateway
    remembers keys.
    """

    method = models.CharField(max_length=32)
    body = models.TextField()
    created = models.DateTimeField(auto_now_add=True)
    refused = models.TextField(default="", blank=True, help_text="what the gateway said; it is not sent again")

    class Meta:
        """In the order in which they were made."""

        ordering = ("id",)
        verbose_name_plural = "outbox pushes"

    def __str__(self) -> str:
        return f"{self.method} {self.pk}"
