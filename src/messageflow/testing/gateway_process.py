"""`python -m messageflow.testing.gateway_process`: a gateway for tests, which is another one for each test.

It reads what it is told as one line of JSON, says where it listens, and then begins anew at each further line, in a few
milliseconds: this process has all loaded and holds the port, and a fork of it is the gateway. So a test finds nothing
of the one before, whatever that was. It ends with whoever started it, as its input does.

Owns the port and the fork. Never serves itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from messageflow.gateway.listening import listen
from messageflow.gateway.server import Gateway, serve
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_loading import load_settings, replace_values


class Told(msgspec.Struct):
    """What the gateway is to be.

    Args:
        settings: of a gateway, by name.
        config: a `messageflow.toml`, or nothing.
        port: 0 for a free one.
    """

    settings: dict[str, Any]
    config: str = ""
    port: int = 0


class ForkedGateway:
    """The gateway of the moment.

    Args:
        settings: that it has.
        listener: where it listens.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._child = 0
        self._lifeline, self._own_end = os.pipe()  # at its end a gateway knows that this process is gone

    def begin(self) -> bool:
        """Put a new one in the place of the one that is there. Returns whether it serves."""
        self.end()
        told, tells = os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(told)
            os.close(self._own_end)
            self._serve(tells)
        os.close(tells)
        serves = bool(os.read(told, 1))
        os.close(told)
        return serves

    def end(self) -> None:
        """End the gateway at once: nobody waits for goodbyes."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._child = 0

    def _serve(self, tells: int) -> None:
        def tell(gateway: Gateway) -> None:
            gateway.loop.add_reader(self._lifeline, os._exit, 0)
            os.write(tells, b".")

        try:
            serve(self._settings, listener=self._listener.dup(), on_started=tell)
        finally:
            os._exit(0)


def main() -> None:
    """Be the gateway of a test run until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, at whose end the input ends
    told = msgspec.json.decode(sys.stdin.readline(), type=Told)
    settings = load_settings(told.settings, toml_path=Path(told.config) if told.config else None)
    settings = replace_values(settings, dev=True)
    listener = listen("127.0.0.1", told.port, 0)
    gateway = ForkedGateway(settings, listener)
    while True:
        answer = {"port": listener.getsockname()[1], "serves": gateway.begin()}
        print(msgspec.json.encode(answer).decode(), flush=True)  # noqa: T201 - to whoever started it
        if not sys.stdin.readline():
            break
    gateway.end()


if __name__ == "__main__":
    main()
