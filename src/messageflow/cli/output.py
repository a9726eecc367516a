"""What commands print, when it is not taken: the reader of a pipe has gone, or the disk is full.

An error of the output is an `OSError`, as one of the network is, and code that handles the one must not take it for the
other: `messageflow listen | head -1` went on connecting. So while a command prints, such an error is another exception.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from messageflow.errors import Picklable

GONE = 128 + 13
"""What a shell expects of a program that wrote into a pipe nobody reads: 128 + SIGPIPE."""


class OutputFailed(Picklable, Exception):
    """What a command prints cannot be written.

    Attributes:
        nobody_reads: whether that is because the reader of a pipe has gone.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(f"the output cannot be written: {reason.strerror or reason}")
        self.nobody_reads = reason.errno == errno.EPIPE


class _Guarded:
    """A stream whose errors are `OutputFailed`; in all else the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError as error:
            raise OutputFailed(error) from error

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            raise OutputFailed(error) from error


def take_standard_streams() -> None:
    """Open what of 0, 1 and 2 was closed before we came, so that no socket gets such a number.

    The event loop takes a socket there for a mistake of its own and aborts the process.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one


@contextmanager
def guarded() -> Iterator[None]:
    """While it lasts, errors of stdout and stderr are `OutputFailed`."""
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and _Guarded(stream) for stream in kept)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


@contextmanager
def unguarded() -> Iterator[None]:
    """While it lasts, stdout and stderr are themselves: an application has its own ways with their errors."""
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (getattr(stream, "stream", stream) for stream in kept)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def give_up(failed: OutputFailed) -> NoReturn:
    """End the program: without a word when nobody reads, else with a sentence where one can still be read."""
    _forget(sys.stdout)
    if failed.nobody_reads:
        _forget(sys.stderr)
        sys.exit(GONE)
    try:
        print(f"messageflow: {failed}", file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr)
    sys.exit(1)


def _forget(stream: TextIO | None) -> None:
    """Let what a stream still holds go nowhere, lest Python complain of it at the end."""
    try:
        descriptor = stream.fileno() if stream is not None else -1
    except (OSError, ValueError):
        return
    if descriptor >= 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
