"""Which broker the settings ask for."""

from __future__ import annotations

from messageflow.brokers.embedded.broker import EmbeddedBroker
from messageflow.brokers.local import LocalBroker
from messageflow.brokers.memory import MemoryBroker
from messageflow.gateway.settings import Settings


def make_broker(settings: Settings) -> LocalBroker:
    """Return the broker of a gateway that is one process, or of the parent of several."""
    if settings.broker == "memory":
        return MemoryBroker(memory=settings.stream_memory, idempotency_window=settings.idempotency_window)
    return EmbeddedBroker(
        settings.data_dir,
        ack="disk" if settings.ack == "disk" else "os",
        memory=settings.stream_memory,
        disk=settings.stream_disk,
        idempotency_window=settings.idempotency_window,
        reset_damaged=settings.reset_damaged,
    )
