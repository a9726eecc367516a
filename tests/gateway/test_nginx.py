"""The gateway behind a real nginx, set up as people do: from the least that works to two of them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.asking import UPGRADE, asked, get, upgrade
from tests.ports import free_port
from tests.support import API_KEY, START_SECONDS, Running, running

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
CONFIG = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ {front} }}
    }}
    {behind}
}}
"""
WEBSOCKETS = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
proxy_set_header Connection $connection_upgrade;"
UPGRADING = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'

Nginx = Callable[..., int]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """Start an nginx whose one location holds the given directives; return its port."""
    assert NGINX is not None, "nginx is missing: `make test` installs it"
    with ExitStack() as stack:

        def start(front: str, behind: str = "") -> int:
            port = free_port()
            config = tmp_path / f"{port}.conf"
            config.write_text(CONFIG.format(directory=tmp_path, port=port, front=front, behind=behind))
            process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(tmp_path)], stderr=subprocess.PIPE)
            stack.callback(process.communicate, timeout=START_SECONDS)
            stack.callback(process.terminate)
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS).close()
                    return port
                except ConnectionRefusedError:
                    assert process.poll() is None, "nginx did not start"

        yield start


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(["serve", "--broker", "memory"], tmp_path_factory.mktemp("gateway")) as started:
        yield started


def pass_to(gateway: Running, *directives: str) -> str:
    return " ".join([f"proxy_pass http://127.0.0.1:{gateway.port};", *directives])


@pytest.mark.parametrize(
    "directives",
    [
        pytest.param([], id="as it comes, which asks for 127.0.0.1"),
        pytest.param(["proxy_set_header Host $host;"], id="with the host"),
        pytest.param([UPGRADING], id="for WebSockets, as its documentation has it"),
        pytest.param([WEBSOCKETS, "proxy_set_header Host $http_host;"], id="for WebSockets, with the host"),
        pytest.param([WEBSOCKETS, "proxy_set_header X-Real-IP $remote_addr;"], id="for WebSockets, with an address"),
    ],
)
def test_metrics_are_not_for_who_comes_through_a_proxy_on_this_machine(
    gateway: Running, nginx: Nginx, directives: list[str]
) -> None:
    port = nginx(pass_to(gateway, *directives))
    status, text = get(port, "/metrics", Host="push.example.com")
    assert status == 401
    assert "API key" in text
    assert "messageflow_sessions" not in text
    assert get(port, "/ready", Host="push.example.com") == (200, "ready\n")
    status, text = get(port, "/metrics", Host="push.example.com", X_API_Key=API_KEY)
    assert status == 200
    assert "messageflow_sessions" in text


def test_pages_behind_a_proxy_that_ends_tls_connect(nginx: Nginx, tmp_path: Path) -> None:
    said = (
        "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
        "proxy_set_header X-Forwarded-Proto $http_x_test_proto;"
    )
    with running(["serve", "--broker", "memory", "--trusted-proxies", "127.0.0.0/8"], tmp_path) as gateway:
        port = nginx(pass_to(gateway, WEBSOCKETS, said))
        for proto in ("https", "wss", "HTTPS", "https, http"):
            own = {"Host": "push.example.com", "X_Test_Proto": proto}
            assert upgrade(port, Origin="https://push.example.com", **own) == 101
            assert upgrade(port, Origin="https://push.example.com:443", **own) == 101
            assert upgrade(port, Origin="http://push.example.com", **own) == 403
            assert upgrade(port, Origin="https://evil.example", **own) == 403


@pytest.mark.parametrize("trusted", [["127.0.0.1", "unix"], ["127.0.0.1/32", "unix:", "::1"]])
def test_a_client_behind_two_proxies_is_counted_by_its_own_address(
    nginx: Nginx, tmp_path: Path, trusted: list[str]
) -> None:
    """The first nginx listens on a port, the second on a Unix socket, and writes `unix:` for the first."""
    chain = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    flags = [part for proxy in trusted for part in ("--trusted-proxies", proxy)]
    limit = ["--unauthenticated-per-address", "1"]
    with running(["serve", "--broker", "memory", *flags, *limit], tmp_path) as gateway, ExitStack() as stack:
        location = pass_to(gateway, WEBSOCKETS, chain)
        inner = f"server {{ listen unix:{tmp_path}/inner.sock; location / {{ {location} }} }}"
        port = nginx(f"proxy_pass http://unix:{tmp_path}/inner.sock:; {WEBSOCKETS} {chain}", inner)

        def come(address: str) -> bytes:
            """Open a WebSocket as a client that makes up an address; return what it is told at once."""
            response = stack.enter_context(asked(port, "/connection/websocket", UPGRADE | {"X-Forwarded-For": address}))
            assert response.status == 101
            return response.fp.read(4)

        held = stack.enter_context(asked(port, "/connection/websocket", UPGRADE | {"X-Forwarded-For": "203.0.113.1"}))
        assert held.status == 101
        # Both proxies and this client stand at trusted addresses, so what it writes is believed: that is the test's way
        # to be several clients.
        assert come("203.0.113.1")[2:] == (3404).to_bytes(2, "big")
        assert come("198.51.100.9, 203.0.113.1")[2:] == (3404).to_bytes(2, "big")
        again = stack.enter_context(asked(port, "/connection/websocket", UPGRADE | {"X-Forwarded-For": "203.0.113.2"}))
        assert again.status == 101
    assert {each["address"] for each in gateway.events("too_many_unauthenticated")} == {"203.0.113.1"}
