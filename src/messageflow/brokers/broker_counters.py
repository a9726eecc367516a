"""What brokers tell of themselves for `/metrics`: one table of names and what they mean, for all backends.

Each backend gives figures of its own out of this table in its `statistics`. Owns the words, counts nothing.
"""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One figure.

    Args:
        help: one sentence, shown by `/metrics`.
        is_total: whether it only grows, and is shown as `…_total`.
    """

    help: str
    is_total: bool = False


UNNAMED = Figure("Of the broker.")
"""A figure that the table does not have, of a broker from elsewhere."""

FIGURES = {
    # Brokers that keep streams in their process
    "streams": Figure("Streams in memory."),
    "stream_bytes": Figure("Bytes they are taken for, against the memory budget."),
    "publications_evicted": Figure("Publications that left memory before their time, for want of room.", is_total=True),
    "streams_forgotten": Figure("Streams that left memory, for want of room or of use.", is_total=True),
    "reservations": Figure("Keys of messages that are remembered."),
    "reservations_evicted": Figure("Such keys forgotten before their time, since there were too many.", is_total=True),
    "idempotency_keys": Figure("Keys of publishes that are remembered."),
    "idempotency_keys_evicted": Figure(
        "Such keys forgotten before their time, since there were too many.", is_total=True
    ),
    # The embedded one
    "log_publications": Figure("Publications in the file."),
    "log_bytes": Figure("Bytes of the file that are in use."),
    "log_publications_shed": Figure("Publications dropped from the file before their time, since it was full."),
    "publications_not_stored": Figure("Publications refused, since the disk was full or failed."),
    # Redis
    "redis_lost": Figure("Times a connection to Redis was lost."),
    "garbage_skipped": Figure("Entries in Redis that were no publications."),
    "lost_tails": Figure("Times a stream had lost what this node had seen of it."),
    "publications_refused": Figure("Publications not sent to Redis, since too many waited."),
    # Between workers and their parent
    "links": Figure("Workers that are connected to the parent."),
    "link_bytes_waiting": Figure("Bytes that wait to be sent to workers."),
    "link_publications_dropped": Figure("Publications not sent to a worker that did not take them.", is_total=True),
    "requests_waiting": Figure("Requests of this worker that wait for the parent."),
    "requests_unanswered": Figure("Requests of this worker that the parent did not answer in time."),
    "times_missed": Figure("Times this worker missed publications of the parent, and read them again."),
    "times_begun_anew": Figure("Times the parent was another one, and everything was subscribed anew."),
    "publications_not_understood": Figure("Messages of the parent that were none."),
}
