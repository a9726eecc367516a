"""What admission counts, for `/metrics`: one table of names and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

from messageflow.core.counting import count

_BEFORE = "Requests refused before a session began."


@dataclass(slots=True, eq=False)
class AdmissionCounters:
    """Counts since the start of the worker, by why somebody was turned away."""

    refused_origins: int = count(_BEFORE)
    refused_full: int = count(_BEFORE)
    refused_busy: int = count(_BEFORE)
    refused_files: int = count(_BEFORE)
    slow_heads: int = count(_BEFORE)
    slow_handshakes: int = count("Connections that had not begun TLS in time.")
    evicted_requests: int = count("Connections that waited for their peer, ended since open files were scarce.")
    accept_pauses: int = count("Times nothing was accepted, since no file could be opened.")
