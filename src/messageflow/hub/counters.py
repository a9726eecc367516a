"""What the hub counts, for `/metrics` and for tests. Plain integers: they are raised on hot paths."""

from __future__ import annotations

from collections import Counter

from messageflow.core.codes import Disconnect


class Counters:
    """Counts since the start of the worker."""

    __slots__ = (
        "caught_up",
        "commands",
        "commands_refused",
        "deliveries",
        "disconnects",
        "fell_behind",
        "gaps",
        "healed",
        "hook_calls",
        "hook_failures",
        "hook_overloads",
        "hook_refusals",
        "hook_timeouts",
        "logs_suppressed",
        "messages_dropped",
        "publications",
        "publishes_delayed",
        "reads_shared",
        "recovered",
        "revocations_forgotten",
        "shed",
        "skipped",
        "stale_publications",
        "unhealed",
        "unrecovered",
    )

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()  # by method
        self.commands_refused = 0  # over the rate of their connection
        self.disconnects: Counter[int] = Counter()  # by code
        self.publications = 0  # that reached this worker for somebody
        self.publishes_delayed = 0  # since the readers of their channel were behind as a crowd
        self.deliveries = 0  # writes of a batch to a session
        self.stale_publications = 0  # came twice from the broker, dropped
        self.gaps = 0  # times a publication came before one that was missed
        self.healed = 0  # times what was missed was read from the history and delivered
        self.unhealed = 0  # times it could not be, and the sessions of a channel were sent away
        self.fell_behind = 0  # times a session began to lag
        self.caught_up = 0  # times one was live again
        self.shed = 0  # sessions ended because all buffers together were over their budget
        self.skipped = 0  # times one skipped to the newest, where the channel says so
        self.reads_shared = 0  # reads of the history that another session had under way already
        self.recovered = 0
        self.unrecovered = 0
        self.revocations_forgotten = 0  # before their time, since there were too many
        self.messages_dropped = 0  # that clients sent although no application takes any
        self.logs_suppressed = 0
        self.hook_calls: Counter[str] = Counter()  # by kind of hook, as the four below
        self.hook_refusals: Counter[str] = Counter()  # what the application refused
        self.hook_failures: Counter[str] = Counter()  # that raised, or answered nonsense
        self.hook_timeouts: Counter[str] = Counter()  # that were given up
        self.hook_overloads: Counter[str] = Counter()  # that were not made, since too many waited

    def count_disconnect(self, disconnect: Disconnect) -> None:
        """Count a decision of the server to end a connection."""
        self.disconnects[disconnect.code] += 1
