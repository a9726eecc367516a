"""Structured logs: one event a line, as JSON for machines or readable for people; never a secret, never a raw byte.

An event is a short name (`disconnected`); what belongs to it travels in the record's `extra`.

Every line is limited in its rate, ours or a library's, since nearly all of them can be caused from outside: by a
client, by a publisher while the disk is full, or by a library that warns of what it was sent.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import TextIO

from messageflow.core.line_rates import LineRates

ACCESS_BURST, ACCESS_PER_SECOND = 200, 50.0  # lines of the access log: what people at work cause by themselves

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message", "limited"}
_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "41"}


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what a record carries beside its message."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; control characters are escaped, so that no client can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class ConsoleFormatter(logging.Formatter):
    """A line for people: time, level, event, fields. Values are quoted where they could mislead a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        level = f"{record.levelname.lower():8}"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        details = " ".join(f"{name}={_shown(value)}" for name, value in fields(record).items())
        line = " ".join(part for part in (time, level, _printable(record.getMessage()), details) if part)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _shown(value: object) -> str:
    text = _printable(str(value))
    return text if text and " " not in text else f'"{text}"'


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class RateLimit(logging.Filter):
    """Lets so many lines of each kind through; the next one says how many were dropped before it.

    A kind of ours is its event; of libraries, whose text holds what they were sent, it is the place in their code.

    Args:
        clock: monotonic seconds.

    Attributes:
        suppressed: how many lines were dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._rates = LineRates()
        self._access = LineRates(ACCESS_BURST, ACCESS_PER_SECOND)
        self._lock = threading.Lock()
        self.suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "limited", False):  # by the hub, at less cost
            return True
        ours = record.name.startswith("messageflow")
        kind: Hashable = (record.name, record.msg) if ours else (record.pathname, record.lineno)
        rates = self._access if record.name == "uvicorn.access" else self._rates
        with self._lock:
            dropped = rates.take(kind, self._clock())
            self.suppressed += dropped is None
        if dropped:
            record.suppressed_before = dropped
        return dropped is not None


LIMIT = RateLimit()
_LIBRARIES = ("asyncio", "websockets", "websockets.server")


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that it is found again."""


def configure(log_format: str, level: str, *, access: bool = False, worker: int = 0) -> None:
    """Send the logs of messageflow and of the libraries it uses to standard error.

    With an application beside the gateway the root logger is the application's to configure.

    Args:
        log_format: `json`, `console`, or `auto`: console when standard error is a terminal.
        level: the least level that is written.
        access: whether there is an application, whose requests are logged.
        worker: the number of one of several workers, which all log to one place; 0 for a gateway of one process.
    """
    terminal = sys.stderr.isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    handler = _Handler(sys.stderr)
    handler.addFilter(LIMIT)
    handler.setFormatter(ConsoleFormatter(colour=terminal) if console else JsonFormatter())
    if worker:
        handler.addFilter(_Numbered(worker))
    for name in ("messageflow", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)]
    if not access:
        root.addHandler(handler)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.removeFilter(LIMIT)
        if access:
            library.addFilter(LIMIT)
    # What uvicorn says of its own life and of bad requests is noise beside our own lines.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access else logging.CRITICAL)


class _Numbered(logging.Filter):
    """Says which worker writes."""

    def __init__(self, worker: int) -> None:
        super().__init__()
        self._worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._worker
        return True
