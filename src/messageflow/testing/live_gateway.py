"""`live_gateway`: a real gateway on a free port, one a run, clean for each test.

All flows of the process use it, whatever they were told, and the environment names it, so that programs that a test
starts find it too. Handlers of the application are asked where they are, in the process of the tests.

Owns the gateway's process (`gateway_process`) and the pages of a test. Never runs a gateway in this process: a frozen
clock, a patched socket or a blocked loop of a test would be the gateway's too.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from messageflow.client_io.http1 import parse_url
from messageflow.client_io.http_client import HttpClient
from messageflow.core.gateway_paths import SCRIPT_PATH, WEBSOCKET_PATH
from messageflow.publisher.arguments import User
from messageflow.publisher.flow import Flow
from messageflow.publisher.later_sender import flush_all
from messageflow.publisher.stand_in import StandIn, standing_in
from messageflow.testing.handler_server import HandlerServer

if TYPE_CHECKING:
    from messageflow.client_io.kernel import ApiClient, ClientIO
    from messageflow.testing.live_page import LivePage

END_SECONDS = 5.0


class LiveGateway(StandIn):
    """The gateway of a test run, from when it is made until `stop`.

    Args:
        config: a `messageflow.toml`, for namespaces and limits.
        settings: of the gateway, by name.

    Attributes:
        url: where it is.
        api_key, token_secret: what it was given.
        flow: a flow of its own.
        environ: the variables by which other programs find it.
    """

    def __init__(self, config: str | Path | None = None, **settings: Any) -> None:
        self.api_key, self.token_secret = secrets.token_hex(32), secrets.token_hex(32)
        self._config = str(config or "")
        self._settings = settings
        self._handlers = HandlerServer()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as this
        self._pages: list[LivePage] = []
        self._is_used = False
        self._port = 0
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self._port}"
        self.script_url = f"{self.url}{SCRIPT_PATH}"
        self.flow = Flow(self.url, api_key=self.api_key, token_secret=self.token_secret)
        self.environ = {
            "MESSAGEFLOW_URL": self.url,
            "MESSAGEFLOW_API_KEY": self.api_key,
            "MESSAGEFLOW_TOKEN_SECRET": self.token_secret,
        }

    @property
    def log(self) -> str:
        """What the gateways of this run have logged: warnings and errors."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    @contextmanager
    def serving(self) -> Iterator[LiveGateway]:
        """Be the gateway of all flows of this process, with nothing in it of who came before, in a `with` block."""
        if self._is_used:
            self.renew()
        self._is_used = True
        with ExitStack() as stack:
            stack.enter_context(standing_in(self))
            stack.enter_context(_environment(self.environ))
            stack.callback(self._end_test)
            yield self

    def connect(
        self,
        user: User | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        since: Mapping[str, Any] | None = None,
    ) -> LivePage:
        """Return a page that has connected; it leaves with the test.

        Args:
            user: who it is; None for nobody.
            token: instead: as the application made it.
            headers: of the handshake, such as a cookie.
            since: where the page begins, as `flow.position` gives it.

        Raises:
            Refused: it is not let in.
        """
        from messageflow.testing.live_page import LivePage

        if token is None and user is not None:
            token = self.flow.token(user)
        page = LivePage(f"ws{self.url[4:]}{WEBSOCKET_PATH}", token, self._mark, headers=headers, since=since)
        self._pages.append(page)
        return page

    def renew(self) -> None:
        """Put a new gateway in the place of the one that is there: nothing is in it, nobody is connected."""
        if hasattr(os, "fork"):
            self._say("again")
        else:
            self._end_process()
            self._start()

    def stop(self) -> None:
        """End it."""
        self._end_process()
        self._handlers.stop()
        self._log.close()

    # As a stand-in

    def get_client(self, io: ClientIO) -> tuple[ApiClient, str]:
        """See `StandIn`."""
        return io.get_client(parse_url(self.url), HttpClient), self.api_key

    # Its process

    def _start(self) -> None:
        program = [sys.executable, "-m", "messageflow.testing.gateway_process"]
        pipe = subprocess.PIPE
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MESSAGEFLOW_")}
        environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=self._log, text=True, env=environ)
        settings = {
            "api_key": self.api_key,
            "token_secret": [self.token_secret],
            "broker": "memory",
            "hooks_url": self._handlers.url,
            "hooks_secret": [self._handlers.secret],
            "log_level": "warning",
            **self._settings,
        }
        told = {"settings": settings, "config": self._config, "port": self._port}
        self._say(msgspec.json.encode(told).decode())

    def _say(self, line: str) -> None:
        """Tell the process something and wait until there is a gateway."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the gateway of the tests has ended:\n{self.log}")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        told = msgspec.json.decode(answer) if answer else {}
        if not told.get("serves"):
            raise RuntimeError(f"the gateway of the tests did not start:\n{self.log}")
        self._port = told["port"]

    def _end_process(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:  # it has ended before it read all
            pass
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _mark(self, channel: str, name: str) -> None:
        from messageflow.testing.live_page import MARKER

        self.flow.publish(channel, None, tags={MARKER: name}, skip_history=True)

    def _end_test(self) -> None:
        flush_all(END_SECONDS)  # what was pushed later is of this test
        while self._pages:
            self._pages.pop().close()
        self.flow.close()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
