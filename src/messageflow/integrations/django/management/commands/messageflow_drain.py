"""`manage.py messageflow_drain`: sends what the outbox has, again and again."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections

from messageflow.integrations.django.models import OutboxPush
from messageflow.integrations.django.outbox_draining import Drained, drain
from messageflow.publisher.batch import COMMANDS


class Command(BaseCommand):  # type: ignore[misc]
    """Runs until it is stopped; it may be at any moment, and nothing is lost or sent twice."""

    help = "Send what push_in_transaction wrote into the outbox."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how to go on."""
        parser.add_argument("--once", action="store_true", help="end when nothing is left")
        parser.add_argument("--interval", type=float, default=0.5, help="seconds to wait where there is nothing")
        parser.add_argument("--batch", type=int, default=COMMANDS, help="pushes in one request")
        parser.add_argument("--database", default=None, help="whose outbox")
        parser.add_argument("--retry-refused", action="store_true", help="send those too that were refused before")

    def handle(self, *_: Any, **options: Any) -> None:
        """Drain."""
        if options["retry_refused"]:
            OutboxPush.objects.using(options["database"]).exclude(refused="").update(refused="")
        while True:
            close_old_connections()
            drained = drain(options["database"], options["batch"])
            self._tell(drained)
            if options["once"]:
                if drained.error is not None:
                    raise CommandError(str(drained.error))
                return
            time.sleep(options["interval"])

    def _tell(self, drained: Drained) -> None:
        if drained.error is not None:
            self.stderr.write(str(drained.error))
        if drained.sent or drained.refused:
            self.stdout.write(f"{drained.sent} sent, {drained.refused} refused")
