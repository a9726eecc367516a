"""One `redis-server` of a test's own: a process on a free port, ended by its id.

Any executable that speaks as Redis does will do, such as Valkey's.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.brokers.redis.certificates import Pair
from tests.ports import free_port
from tests.waiting import patience

START_SECONDS = 10.0
SECONDS = 20.0  # for all else to come about


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return once a condition holds; a server that cannot answer yet counts as no."""
    began = time.monotonic()
    while True:
        try:
            if condition():
                return
        except (RedisError, OSError):
            pass
        assert time.monotonic() - began < patience(seconds), "it did not come about"
        time.sleep(0.02)


class Server:
    """One `redis-server` process.

    Args:
        directory: for its files; there already.
        arguments: settings, as on the command line.
        configuration: of a Sentinel, which keeps no data.
        password: of its default user, if it needs one.
        certificate: to speak TLS with, and nothing else; clients need none of their own.
        port: to listen on; 0 takes a free one.
        executable: what to run; empty takes `redis-server`.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        configuration: Path | None = None,
        password: str = "",
        certificate: Pair | None = None,
        port: int = 0,
        executable: str = "",
    ) -> None:
        self.port = port or free_port()
        self.directory = directory
        self.configuration = configuration
        self.password = password
        self.certificate = certificate
        self.arguments = arguments
        self.executable = shutil.which(executable or "redis-server")
        self.process: subprocess.Popen[bytes]
        self.start()

    @property
    def url(self) -> str:
        """Where it is, for its default user."""
        return self.url_for("", self.password) if self.password else self.url_for()

    def url_for(self, user: str = "", password: str = "", host: str = "127.0.0.1") -> str:
        """Return its URL for a user; with TLS it names the authority that signed its certificate."""
        login = f"{user}:{password}@" if user or password else ""
        if self.certificate is None:
            return f"redis://{login}{host}:{self.port}"
        return f"rediss://{login}{host}:{self.port}?ssl_ca_certs={self.certificate.authority}"

    def start(self) -> None:
        """Start it, for the first time or again, and return once it answers."""
        assert self.executable, "redis-server is missing: apt-get install redis-server"
        self.process = subprocess.Popen(
            [
                self.executable,
                *((str(self.configuration), "--sentinel") if self.configuration else ()),
                *("--bind", "127.0.0.1", "--dir", str(self.directory)),
                *self._listening(),
                *(("--requirepass", self.password) if self.password else ()),
                *(() if self.configuration else ("--save", "", "--appendonly", "no")),
                *self.arguments,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._answers, START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _listening(self) -> tuple[str, ...]:
        if self.certificate is None:
            return ("--port", str(self.port))
        made = self.certificate
        files = ("--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key))
        authority = ("--tls-ca-cert-file", str(made.authority), "--tls-auth-clients", "no")
        return ("--port", "0", "--tls-port", str(self.port), *files, *authority)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.executable} ended with {self.process.returncode}"
        with self.client() as client:
            return bool(client.ping())

    def client(self) -> Redis:
        """Return a connection to it, of its default user; whatever host its certificate is for."""
        checks = {"ssl_check_hostname": False} if self.certificate else {}
        return Redis.from_url(self.url, **checks)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of what it says of itself."""
        with self.client() as client:
            return dict(client.info(section))

    def wait_until_written(self) -> None:
        """Return once its append-only file has all; while a sync is slow, it answers before that."""
        wait_until(lambda: self.info("persistence")["aof_buffer_length"] == 0)

    def allow(self, user: str, *rules: str) -> None:
        """Make a user with exactly these rules."""
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", user, "reset", *rules)

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill it, be it stopped already."""
        self.process.kill()
        self.process.wait()
