"""Where the gateway of tests asks the handlers of the application, which are in the process of the tests.

A small HTTP server on a thread, for loopback alone: what `flow.webhook` is to a gateway elsewhere, for all flows of
this process at once.
"""

from __future__ import annotations

import secrets
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from messageflow.handlers.registry import EVERY
from messageflow.handlers.webhook import Webhook


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing on standard error."""


class HandlerServer:
    """Serves from when it is made until `stop`."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(32)
        self._server = make_server("127.0.0.1", 0, Webhook(EVERY, lambda: [self.secret]).wsgi, _Server, _QuietHandler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/messageflow/hooks"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="messageflow-handlers", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
