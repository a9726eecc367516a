"""What was reserved, left in the data directory by a gateway that ended in order, for the one that follows.

It is taken away when it is read: after a crash there is none, and what was told before is not taken for new.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from messageflow.core.reservations import Remembered, ReservationTable

log = logging.getLogger("messageflow.broker")

FILE = "reservations"

_decode = msgspec.msgpack.Decoder(Remembered).decode


def leave_reservations(directory: Path, table: ReservationTable) -> None:
    """Write what a table knows. Where that fails there is no file, and the log says so."""
    path = directory / FILE
    try:
        with open(path, "wb", opener=_open_privately) as file:
            file.write(msgspec.msgpack.encode(table.leave()))
    except OSError as error:
        log.error("close_failed", extra={"error": str(error)})
        path.unlink(missing_ok=True)


def take_reservations(directory: Path, table: ReservationTable) -> None:
    """Let a table know what was left, once."""
    path = directory / FILE
    try:
        found = path.read_bytes()
        path.unlink()
        table.take_over(_decode(found))
    except (OSError, msgspec.MsgspecError):
        return  # nothing, or nothing whole, was left: the table knows what it sees from now on


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
