"""Pages of an application of the tests' own: plain HTML, a token endpoint that can hang, workers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from messageflow import Flow
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import patience

PATIENCE = 40.0  # seconds; the gateways here ping once a minute, so nothing but a goodbye is found out in less
CONFIG = """
allowed_origins = ["{origin}"]
ping_interval = "{ping_interval}"
{settings}
[channel.without_namespace]
presence = true
allow_subscribe_for_client = true
"""
PAGE = """<!doctype html><title>{title}</title><script src="{gateway}/messageflow.js"></script><script>
const shown = [], heard = [], states = [], errors = [];
addEventListener("pageshow", ({{ persisted }}) => shown.push(persisted));
const flow = messageflow.connect({{
  onMessage: ({{ payload }}, {{ recovered }}) => heard.push([payload, recovered]),
  onState: (state, {{ code }}) => states.push([state, code]),
  onError: ({{ code, message }}) => errors.push([code, message]),
  ...{options},
}});
</script>"""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience(PATIENCE), what
        time.sleep(0.05)


class Site(ThreadingHTTPServer):
    """The application: `/page/…?options=` is a page, `/token/user` answers with a token, `/files/…` are texts given.

    Attributes:
        gateway: the gateway its pages connect to.
        flow: a publisher for that gateway.
        files: by path, content type and text.
        ttl: seconds of life of the tokens it gives.
        hanging: how many requests for a token hang at the moment.
        asked: how many requests for a token came.
    """

    TTL = 600.0
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway: Running
        self.flow: Flow
        self.files: dict[str, tuple[str, str]] = {}
        self.ttl = self.TTL
        self.hang = False
        self.hanging = 0
        self.asked = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def page(self, title: str = "page", **options: Any) -> str:
        """Return the address of a page that connects with these options."""
        return f"{self.url}/page/{title}?options={quote(json.dumps(options))}"

    def here(self, channel: str = "room") -> int:
        """Return how many connections are present."""
        return len(self.flow.presence(channel))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, and a browser has six of them for one host
    server: Site

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        _, kind, name = (*address.path.split("/", 2), "")[:3]
        if kind == "page":
            options = parse_qs(address.query)["options"][0]
            self._answer("text/html", PAGE.format(title=name, gateway=self.server.gateway.url, options=options))
        elif kind == "token":
            self._token(name)
        elif address.path in self.server.files:
            self._answer(*self.server.files[address.path])
        else:
            self._answer("text/plain", "an answer")

    def _token(self, user: str) -> None:
        site = self.server
        with site.lock:
            site.asked += 1
        if site.hang:
            self._hang()
        else:
            self._answer("application/json", json.dumps({"token": site.flow.token(user, ttl=site.ttl)}))

    def _hang(self) -> None:
        """Answer nothing until the browser lets go."""
        site = self.server
        with site.lock:
            site.hanging += 1
        self.connection.recv(1)
        with site.lock:
            site.hanging -= 1
        self.close_connection = True

    def _answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def site(
    directory: Path,
    settings: str = "",
    *,
    ping_interval: str = "60s",
    arguments: tuple[str, ...] = ("--broker", "memory"),
) -> Iterator[Site]:
    """Run an application and a gateway for its pages.

    Args:
        directory: for the gateway's files.
        settings: lines of configuration.
        ping_interval: of the gateway.
        arguments: flags of the gateway.
    """
    with Site() as started:
        thread = threading.Thread(target=started.serve_forever, daemon=True)
        thread.start()
        config = directory / "messageflow.toml"
        config.write_text(CONFIG.format(origin=started.url, ping_interval=ping_interval, settings=settings))
        try:
            with running(("serve", "--config", str(config), *arguments), directory) as started.gateway:
                url = started.gateway.url
                with Flow(url, api_key=API_KEY, token_secret=TOKEN_SECRET) as started.flow:
                    yield started
        finally:
            started.shutdown()
            thread.join()
