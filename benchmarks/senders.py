"""A sender in a process of its own: it warms up, waits for the word, sends, and says what it took.

Owns the process. What is sent, and how, is in `peers`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.servers.base import ServerFailed

ROOT = Path(__file__).parents[1]
SEND_SECONDS = 300


class Sent(msgspec.Struct, frozen=True):
    """What a sender says at its end: seconds on the clock and of its CPU, from the word to the last return."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Program:
    """A module of `benchmarks.peers`, and what runs it.

    Args:
        name: of the module.
        python: the interpreter.
        environment: what it is told.
    """

    name: str
    python: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Sender:
    """A sender that is warm."""

    def __init__(self, program: Program, process: subprocess.Popen[str]) -> None:
        self._program = program
        self._process = process

    def send(self) -> Sent:
        """Give the word; what it took.

        Raises:
            ServerFailed: it did not come to its end.
        """
        try:
            output, errors = self._process.communicate("go\n", SEND_SECONDS)
            return msgspec.json.decode(output, type=Sent)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self._program.name} did not send all within {SEND_SECONDS} s") from None
        except msgspec.DecodeError:
            raise ServerFailed(f"{self._program.name} did not send all:\n{errors[-1500:]}") from None


@contextmanager
def sender(program: Program, texts: int, at_once: int) -> Iterator[Sender]:
    """Start a sender of so many texts, so many of them at once, and wait until it is warm.

    Raises:
        ServerFailed: it ended before.
    """
    process = subprocess.Popen(
        (program.python, "-m", f"benchmarks.peers.{program.name}", str(texts), str(at_once)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **program.environment},
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise ServerFailed(f"{program.name} did not get ready:\n{process.communicate()[1][-1500:]}")
        yield Sender(program, process)
    finally:
        process.kill()
        process.communicate()
