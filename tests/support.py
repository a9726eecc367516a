"""Real processes for tests: a gateway, or a gateway with an application, on a free port, ended by its id."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import patience

API_KEY = "an-api-key-for-tests-0123456789abcdef"
TOKEN_SECRET = "a-token-secret-for-tests-0123456789abcdef"
START_SECONDS = 20


class Running:
    """A process of the command line.

    Args:
        process: with a pipe for its standard error.
        lines: to put behind what it logs; a list of its own by itself.

    Attributes:
        port: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], lines: list[str] | None = None) -> None:
        assert process.stderr is not None
        self.process = process
        self.port = 0
        self._log = process.stderr
        self._lines = [] if lines is None else lines
        self._rest = b""
        self._open = True
        self._taking = threading.Lock()
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    @property
    def lines(self) -> list[str]:
        """What it has logged, to what it wrote last, whatever the thread that reads it has seen."""
        self._take()
        return self._lines

    def events(self, name: str) -> list[dict[str, object]]:
        """Return the log records of one event."""
        records = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [record for record in records if record["event"] == name]

    def wait_until_started(self, seconds: float = START_SECONDS) -> None:
        """Return once connections are accepted."""
        if not self._started.wait(patience(seconds)):
            raise AssertionError("it did not start:\n" + "".join(self.lines))
        if not self.port:  # it has closed its log, and is about to end
            self.process.wait(patience(START_SECONDS))

    def _read(self) -> None:
        while self._open:
            self._is_written(None)
            self._take()
        self._started.set()

    def _is_written(self, milliseconds: int | None) -> bool:
        """Wait for more of its log, or its end."""
        waiting = select.poll()
        waiting.register(self._log, select.POLLIN)
        return bool(waiting.poll(milliseconds))

    def _take(self) -> None:
        """Take what is written of its log."""
        with self._taking:
            while self._open and self._is_written(0):
                written = os.read(self._log.fileno(), 1 << 16)
                self._open = bool(written)
                *whole, self._rest = (self._rest + written).split(b"\n")
                if not self._open and self._rest:
                    whole.append(self._rest)
                for line in whole:
                    self._lines.append(line.decode(errors="replace") + "\n")
                    if b'"event": "started"' in line:
                        self.port = json.loads(line)["port"]
                        self._started.set()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(patience(START_SECONDS))

    def terminate(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience(START_SECONDS))

    def release(self) -> None:
        """Read its log to the end."""
        self._reader.join(patience(START_SECONDS))
        with self._taking:
            self._open = False
            self._log.close()


@contextmanager
def running(
    arguments: Sequence[str],
    data_dir: Path | None,
    *,
    cwd: Path | None = None,
    port: int = 0,
    keys: bool = True,
    files: tuple[int, int] | None = None,
) -> Iterator[Running]:
    """Run `messageflow` with these arguments until the block ends.

    Args:
        arguments: the command and its flags, without the port.
        data_dir: for its files; None tells it of none.
        cwd: the directory to run in.
        port: to listen on; 0 takes a free one.
        keys: whether to give it the keys of this module; else it makes its own, as with --dev.
        files: the soft and the hard limit of its open files.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESSAGEFLOW_")}
    environment["MESSAGEFLOW_LOG_FORMAT"] = "json"
    if data_dir is not None:
        environment["MESSAGEFLOW_DATA_DIR"] = str(data_dir)
    if keys:
        environment |= {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
    command = [sys.executable, "-m", "messageflow.cli", *arguments, "--port", str(port)]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if files is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files),
    )
    started = Running(process)
    try:
        started.wait_until_started()
        assert process.poll() is None, "".join(started.lines)
        yield started
    finally:
        if process.poll() is None:
            started.terminate()
        started.release()
