"""What the server API counts, for `/metrics`: one table of names and what they mean.

Owns the words. The figures are those of `Api`, which counts each call by its method and each refusal by its code,
and of the entrance over ZeroMQ where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from messageflow.core.counting import count_by


@dataclass(slots=True, eq=False)
class ApiCounters:
    """Counts since the start of the worker."""

    api_calls: Mapping[str, int] = count_by("method", "Calls of the server API.")
    api_errors: Mapping[int, int] = count_by("code", "Calls of the server API that were refused.")
    zeromq_messages: Mapping[str, int] = count_by("outcome", "Messages of backends that came over ZeroMQ.")
