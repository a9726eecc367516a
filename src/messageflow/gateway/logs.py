"""Structured logs: one event a line, as JSON for machines or readable for people; never a secret, never a raw byte.

An event is a short name (`disconnected`); what belongs to it travels in the record's `extra`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
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


def configure(log_format: str, level: str, *, access: bool = False, worker: int = 0) -> None:
    """Send the logs of messageflow and of the server below it to standard error.

    Args:
        log_format: `json`, `console`, or `auto`: console when standard error is a terminal.
        level: the least level that is written.
        access: whether each HTTP request is logged.
        worker: the number of one of several workers, which all log to one place; 0 for a gateway of one process.
    """
    terminal = sys.stderr.isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter(colour=terminal) if console else JsonFormatter())
    if worker:
        handler.addFilter(_Numbered(worker))
    for name in ("messageflow", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
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
