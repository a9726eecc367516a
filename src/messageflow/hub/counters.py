"""What the hub counts, for `/metrics` and for tests: tables of names and what they mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from messageflow.core.codes import Disconnect
from messageflow.core.counting import count, count_by


@dataclass(slots=True, eq=False)
class Counters:
    """Counts since the start of the worker. Plain integers: they are raised on hot paths."""

    commands: Counter[str] = count_by("method", "Commands carried out or refused.")
    commands_refused: int = count("Commands over the rate of their connection.")
    disconnects: Counter[int] = count_by("code", "Connections the server ended.")
    token_refusals: Counter[str] = count_by("reason", "Tokens that were refused; docs/limits.md has the reasons.")
    publications: int = count("Publications that reached this worker for somebody.")
    publishes_delayed: int = count(
        "Publishes that waited for the readers of their channel, who were behind as a crowd."
    )
    read_probes: int = count("Pings to a few readers of a crowd, to learn how far they have read.")
    read_probes_answered: int = count("Of those, such as were answered.")
    read_probes_unanswered: int = count("Readers that were asked and did not answer, and are waited for no longer.")
    deliveries: int = count("Writes of publications to connections; several publications may share one.")
    stale_publications: int = count("Publications that came twice from the broker.")
    gaps: int = count("Times a publication came before one that was missed.")
    healed: int = count("Times what was missed was read from the history and delivered.")
    unhealed: int = count("Times it could not be, and the sessions of a channel were sent away.")
    fell_behind: int = count("Times a session began to lag.")
    caught_up: int = count("Times a lagging session was live again.")
    shed: int = count("Sessions ended because all buffers together were over their budget.")
    skipped: int = count("Times a lagging session skipped to the newest.")
    reads_shared: int = count("Reads of the history that another session had under way already.")
    recovered: int = count("Subscriptions that recovered what they missed.")
    unrecovered: int = count("Subscriptions that could not.")
    revocations_forgotten: int = count("Revocations given up before their time, since there were too many.")
    messages_dropped: int = count("Messages that clients sent although no application takes any.")
    logs_suppressed: int = count("Log lines dropped for their rate.")
    sends_repeated: int = count("Messages with a key that came before.")
    sends_unknown: int = count("Of those, such as may have been handled, which nobody knows, and which were refused.")
    hook_calls: Counter[str] = count_by("hook", "Calls of the application's hooks.")
    hook_refusals: Counter[str] = count_by("hook", "Calls in which the application refused what a client wanted.")
    hook_failures: Counter[str] = count_by("hook", "Calls that raised an error, or answered what is no answer.")
    hook_timeouts: Counter[str] = count_by("hook", "Calls that took too long.")
    hook_overloads: Counter[str] = count_by("hook", "Calls that were not made, since too many waited.")
    webhook_outages: int = count("Times the application's webhook endpoint was found away.")

    def count_disconnect(self, disconnect: Disconnect) -> None:
        """Count a decision of the server to end a connection."""
        self.disconnects[disconnect.code] += 1


@dataclass(slots=True, eq=False)
class RecoveryCounters:
    """What is given out of the history at the pace of all recoveries."""

    recovery_bytes: int = count("History given out to sessions.")
    recovery_waits: int = count("Times history had to wait for the pace.")
