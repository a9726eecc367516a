"""Every setting does something: set to what is not its default, a real gateway behaves otherwise.

One row a setting; a setting without a row fails. A row says in which gateway it is set, and what shows it there.
Settings that do not meddle with each other share a gateway. With the default each check would fail.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import zmq
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from messageflow.core.webhook_signatures import is_signed
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_loading import OPTIONS
from tests.brokers.redis.processes import Server
from tests.gateway.asking import get, upgrade
from tests.gateway.test_api import certificate, fetch
from tests.gateway.test_bad_input import Client
from tests.ports import free_port
from tests.support import API_KEY, START_SECONDS, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

KEY, SECRET = "another-api-key-0123456789abcdefghij", "another-token-secret-0123456789abcdef"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = (
    PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
CHANNELS = """
[[channel.namespaces]]
name = "open"
presence = true
allow_subscribe_for_client = true
allow_history_for_client = true
"""
MEMORY = ("--broker", "memory")
BUS_PORT = free_port()
LARGE = "x" * 2_000_000

GATEWAYS: dict[str, Sequence[str]] = {
    "pages": (*MEMORY, "--tls-terminated", "--trusted-proxies", "127.0.0.0/8", "--require-origin", "--metrics-public"),
    "keys": (
        *(*MEMORY, "--api-key", KEY, "--token-secret", SECRET, "--token-public-keys", PUBLIC, "--allow-anonymous"),
        "--allow-token-without-expiry",
        *("--token-audience", "push", "--token-issuer", "https://issuer.example", "--token-lifetime-limit", "1h"),
        *("--allowed-origins", "https://app.example.com"),
    ),
    "limits": (
        *(*MEMORY, "--message-size-limit", "2KiB", "--payload-size-limit", "2KiB", "--fragments-limit", "2"),
        *("--commands-per-second", "0", "--channels-per-connection", "4", "--connections-per-user", "1"),
        *("--ping-interval", "5s", "--pong-timeout", "500ms", "--connect-timeout", "1s"),
        *("--handshake-timeout", "1s", "--history-limit", "3", "--recovery-rate", "1000"),
        *("--idempotency-window", "500ms", "--config", "channels.toml"),
    ),
    "small": (*MEMORY, "--stream-memory", "1MiB", "--buffer-memory", "1MiB", "--payload-size-limit", "4MiB"),
    "wide": (
        *(*MEMORY, "--buffer-high-water", "64MiB", "--payload-size-limit", "4MiB", "--readers-behind", "0"),
        *("--compression", "--compression-min-size", "4KiB"),
    ),
    "arriving": (*MEMORY, "--arrivals-limit", "1"),
    "full": (*MEMORY, "--connections-limit", "1"),
    "addresses": (*MEMORY, "--unauthenticated-per-address", "1"),
    "disk": (
        "--ack",
        "disk",
        "--stream-disk",
        "1MiB",
        "--stream-memory",
        "1MiB",
        "--payload-size-limit",
        "4MiB",
        "--client-insecure",
    ),
    "two": (*MEMORY, "--workers", "2"),
    "ending": (*MEMORY, "--drain-time", "0", "--log-level", "debug"),
    "elsewhere": (*MEMORY, "--host", "127.0.0.2"),
    "own": (
        *(*MEMORY, "--base-path", "/own", "--classic", "cesium"),
        *("--zeromq", f"tcp://*:{BUS_PORT}", "--zeromq-public"),
    ),
}

Started = Callable[[str], Running]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The gateways of this module, each started when it is first wanted."""
    found: dict[str, Running] = {}
    with ExitStack() as stack:

        def start(name: str) -> Running:
            if name not in found:
                directory = tmp_path_factory.mktemp(name)
                (directory / "channels.toml").write_text(CHANNELS)
                found[name] = stack.enter_context(running(["serve", *GATEWAYS[name]], directory, cwd=directory))
            return found[name]

        yield start


def token(user: str = "alice", key: Any = TOKEN_SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + 600, **claims}, key, algorithm)


def call(gateway: Running, method: str, body: dict[str, Any], key: str = API_KEY) -> tuple[int, Any]:
    status, answer = fetch(f"{gateway.url}/api/{method}", json.dumps(body).encode(), X_API_Key=key)
    return status, json.loads(answer)


def push(gateway: Running, payload: Any, user: str = "alice", **more: Any) -> dict[str, Any]:
    status, answer = call(gateway, "push", {"user": user, "type": "t", "payload": payload, **more})
    assert status == 200, answer
    result: dict[str, Any] = answer["result"]
    return result


def metric(gateway: Running, name: str) -> float:
    text = fetch(f"{gateway.url}/metrics", X_API_Key=API_KEY)[1].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split()[0] == name)


def answered(client: Client, command: dict[str, Any]) -> dict[str, Any]:
    """Send a command, and return its answer, past whatever is pushed before."""
    client.say(command)
    while True:
        opcode, payload = client.receive()
        assert opcode == 1
        for line in payload.split(b"\n"):
            found: dict[str, Any] = json.loads(line)
            if found.get("id") == command["id"]:
                return found


@contextmanager
def entered(gateway: Running, user: str = "alice", **connect: Any) -> Iterator[Client]:
    with Client(gateway) as client:
        assert "connect" in client.connect(token=token(user), **connect)
        yield client


# Listening


def host(gateway: Running) -> None:
    with socket.create_connection(("127.0.0.2", gateway.port), timeout=10):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port), timeout=10)


def classic(gateway: Running) -> None:
    with Client(gateway, path="/websocket") as client:
        assert client.receive() == (1, b'{"action": "AUTH REQUEST"}')


def zeromq(gateway: Running) -> None:
    with Client(gateway, path="/websocket") as client, zmq.Context() as context:
        assert client.receive()[1] == b'{"action": "AUTH REQUEST"}'
        client.frame(token("bus").encode())
        assert client.receive()[1] == b'{"action": "AUTH OK"}'
        with context.socket(zmq.PUSH) as bus:
            bus.connect(f"tcp://127.0.0.1:{BUS_PORT}")
            bus.send_multipart([b"bus", b'{"action": "T", "payload": 1}'])
            assert client.receive()[1] == b'{"username":"bus","action":"T","payload":1}'


def zeromq_public(gateway: Running) -> None:
    """Without it nothing listens beyond loopback: the gateway would not have started."""
    assert gateway.events("zeromq_open")[0]["addresses"] == [f"tcp://*:{BUS_PORT}"]


def base_path(gateway: Running) -> None:
    assert get(gateway.port, "/own/health") == (200, "ok\n")
    assert get(gateway.port, "/messageflow/health")[0] == 404


def tls_terminated(gateway: Running) -> None:
    assert upgrade(gateway.port, Host="push.example.com", Origin="https://push.example.com") == 101
    assert upgrade(gateway.port, Host="push.example.com", Origin="http://push.example.com") == 403


def trusted_proxies(gateway: Running) -> None:
    own = {"X_Forwarded_Host": "outer.example.com", "X_Forwarded_Proto": "http"}
    assert upgrade(gateway.port, Origin="http://outer.example.com", **own) == 101


def require_origin(gateway: Running) -> None:
    assert upgrade(gateway.port) == 403


def metrics_public(gateway: Running) -> None:
    status, text = get(gateway.port, "/metrics", Host="push.example.com")
    assert status == 200
    assert "messageflow_sessions" in text


# Keys


def allowed_origins(gateway: Running) -> None:
    assert upgrade(gateway.port, Origin="https://app.example.com") == 101
    assert upgrade(gateway.port, Origin=gateway.url) == 101
    assert upgrade(gateway.port, Origin="https://other.example.com") == 403


def allow_anonymous(gateway: Running) -> None:
    with Client(gateway) as client:
        client.say({"id": 1, "connect": {}})
        assert "client" in json.loads(client.receive()[1])["connect"]


def allow_token_without_expiry(gateway: Running) -> None:
    assert come_with(gateway, token(key=SECRET, **RIGHT, exp=None)) == 0
    assert [line["setting"] for line in gateway.events("relaxed")] == ["allow_token_without_expiry"]


def client_insecure(gateway: Running) -> None:
    with Client(gateway) as client:
        client.say({"id": 1, "connect": {}})
        assert "client" in json.loads(client.receive()[1])["connect"]
        client.say({"id": 2, "subscribe": {"channel": "lobby"}})
        assert "subscribe" in json.loads(client.receive()[1])
        for method, request in (("publish", {"channel": "hall", "data": 1}), ("history", {"channel": "hall"})):
            client.say({"id": 3, method: request})
            assert "error" not in json.loads(client.receive()[1])
        for channel in ("#bob", "*", "$secret"):
            client.say({"id": 4, "subscribe": {"channel": channel}})
            assert json.loads(client.receive()[1])["error"]["code"] == 103
    assert come_with(gateway, "invented") == 3500
    rebound = f"evil.example:{gateway.port}"  # a name that somebody pointed at this machine
    assert upgrade(gateway.port, Host=rebound, Origin=f"http://{rebound}") == 403
    assert upgrade(gateway.port, Host=f"localhost:{gateway.port}", Origin="http://localhost:5173") == 101
    assert [line["setting"] for line in gateway.events("relaxed")] == ["client_insecure"]


def api_key(gateway: Running) -> None:
    assert call(gateway, "info", {}, KEY)[0] == 200
    assert call(gateway, "info", {}, API_KEY)[0] == 401


def come_with(gateway: Running, token: str) -> int:
    """Return the code with which a token is refused, 0 where it is not."""
    with Client(gateway) as client:
        client.say({"id": 1, "connect": {"token": token}})
        opcode, payload = client.receive()
        return int(struct.unpack("!H", payload[:2])[0]) if opcode == 8 else 0


RIGHT = {"aud": "push", "iss": "https://issuer.example"}


def token_secret(gateway: Running) -> None:
    assert come_with(gateway, token(key=SECRET, **RIGHT)) == 0
    assert come_with(gateway, token(key=TOKEN_SECRET, **RIGHT)) == 3500


def token_public_keys(gateway: Running) -> None:
    assert come_with(gateway, token(key=PRIVATE, algorithm="ES256", **RIGHT)) == 0
    assert come_with(gateway, token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", **RIGHT)) == 3500


def token_audience(gateway: Running) -> None:
    assert come_with(gateway, token(key=SECRET, **RIGHT)) == 0
    assert come_with(gateway, token(key=SECRET, **RIGHT | {"aud": "another"})) == 3500


def token_issuer(gateway: Running) -> None:
    assert come_with(gateway, token(key=SECRET, **RIGHT)) == 0
    assert come_with(gateway, token(key=SECRET, **RIGHT | {"iss": "https://another.example"})) == 3500


def token_lifetime_limit(gateway: Running) -> None:
    assert come_with(gateway, token(key=SECRET, **RIGHT, exp=time.time() + 3000)) == 0
    assert come_with(gateway, token(key=SECRET, **RIGHT, exp=time.time() + 7200)) == 3500


# Limits


def ping_interval(gateway: Running) -> None:
    with Client(gateway) as client:
        assert client.connect(token=token("pinged"))["connect"]["ping"] == 5


def pong_timeout(gateway: Running) -> None:
    with entered(gateway, "mute") as client:
        client.socket.settimeout(START_SECONDS)
        frames = [client.receive()]
        while frames[-1][0] != 8:
            frames.append(client.receive())
    assert [payload for opcode, payload in frames if opcode == 1] == [b"{}"]  # gone before the second ping
    assert struct.unpack("!H", frames[-1][1][:2])[0] == 3012


def connect_timeout(gateway: Running) -> None:
    with Client(gateway) as client:
        client.socket.settimeout(Settings().limits.heartbeat.connect_timeout / 2)
        assert client.close_code() == 3502


def handshake_timeout(gateway: Running) -> None:
    patience = Settings().http.handshake_timeout * 0.8
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=patience) as silent:
        try:
            assert silent.recv(1) == b""
        except ConnectionResetError:
            pass


def message_size_limit(gateway: Running) -> None:
    with Client(gateway) as client:
        client.frame(b" " * 3000)
        assert client.close_code() == 1009


def payload_size_limit(gateway: Running) -> None:
    assert call(gateway, "publish", {"channel": "x", "data": "x" * 1000})[0] == 200
    assert call(gateway, "publish", {"channel": "x", "data": "x" * 3000})[0] == 413


def fragments_limit(gateway: Running) -> None:
    with Client(gateway) as client:
        client.frame(b"{", head=0x01)
        client.frame(b" ", head=0x00)
        client.frame(b" ", head=0x00)
        assert client.close_code() == 1009


def commands_per_second(gateway: Running) -> None:
    with entered(gateway, "busy") as client:
        for number in range(2, 2002):
            client.say({"id": number, "presence_stats": {"channel": "open:x"}})
            assert b'"code":103' in client.receive()[1]


def channels_per_connection(gateway: Running) -> None:
    with entered(gateway, "many") as client:
        answers = [answered(client, {"id": n, "subscribe": {"channel": f"open:{n}"}}) for n in range(2, 10)]
    assert "subscribe" in answers[0]
    assert [answer.get("error", {}).get("code") for answer in answers[-3:]] == [106] * 3


def connections_per_user(gateway: Running) -> None:
    with entered(gateway, "single") as silent:
        assert come_with(gateway, token("single")) == 0
        silent.socket.settimeout(2)  # its end was written before the other came in; a heartbeat ends it later
        frames = [silent.receive()]
        while frames[-1][0] != 8:
            frames.append(silent.receive())
    assert struct.unpack("!H", frames[-1][1][:2])[0] == 3012  # it did not answer when it was asked for its place


def history_limit(gateway: Running) -> None:
    for number in range(5):
        call(gateway, "publish", {"channel": "open:kept", "data": number})
    with entered(gateway, "reader") as client:
        assert "subscribe" in answered(client, {"id": 2, "subscribe": {"channel": "open:kept"}})
        page = answered(client, {"id": 3, "history": {"channel": "open:kept", "limit": 5}})
    assert len(page["history"]["publications"]) == 3


def recovery_rate(gateway: Running) -> None:
    first = push(gateway, "x" * 1000, "missing")
    push(gateway, "x" * 1000, "missing")
    where = {"recover": True, "epoch": first["epoch"], "offset": first["offset"], "tag": first["tag"]}
    for _ in range(3):
        with entered(gateway, "missing", subs={"#missing": where}) as client:
            client.socket.sendall(b"\x88\x80\x01\x02\x03\x04")
        wait_until(lambda: call(gateway, "info", {})[1]["result"]["nodes"][0]["num_users"] == 0, START_SECONDS)
    assert metric(gateway, "messageflow_recovery_waits_total") >= 1


def idempotency_window(gateway: Running) -> None:
    first = push(gateway, 1, "again", idempotency_key="k")
    wait_until(lambda: push(gateway, 1, "again", idempotency_key="k")["offset"] > first["offset"], START_SECONDS)


def arrivals_limit(gateway: Running) -> None:
    with Client(gateway) as first:
        with Client(gateway) as second:
            assert second.status == 503
        assert "connect" in first.connect()
        with Client(gateway) as third:
            assert third.status == 101


def connections_limit(gateway: Running) -> None:
    with entered(gateway), Client(gateway) as second:
        assert second.status == 503
    assert metric(gateway, "messageflow_refused_full_total") == 1


def unauthenticated_per_address(gateway: Running) -> None:
    with Client(gateway) as first:
        with Client(gateway) as second:
            assert second.close_code() == 3404
        assert "connect" in first.connect()


def buffer_high_water(gateway: Running) -> None:
    with entered(gateway):
        for _ in range(8):
            push(gateway, LARGE)
        assert metric(gateway, "messageflow_fell_behind_total") == 0


def are_compressed(gateway: Running, user: str, *sizes: int) -> list[bool]:
    with Client(gateway, headers="Sec-WebSocket-Extensions: permessage-deflate\r\n") as client:
        client.connect(token=token(user))
        for size in sizes:
            push(gateway, "x" * size, user)
        return [not client.receive()[1].startswith(b"{") for _ in sizes]


def compression(gateway: Running) -> None:
    assert are_compressed(gateway, "offers", 10_000) == [True]


def compression_min_size(gateway: Running) -> None:
    assert are_compressed(gateway, "reads", 3000, 5000) == [False, True]


def readers_behind(gateway: Running) -> None:
    with ExitStack() as stack:
        for number in range(100):
            stack.enter_context(entered(gateway, f"user{number}"))
        call(gateway, "broadcast_push", {"type": "t", "payload": 1})
        wait_until(lambda: metric(gateway, "messageflow_deliveries_total") >= 100, START_SECONDS)
    assert metric(gateway, "messageflow_read_probes_total") == 0


def buffer_memory(gateway: Running) -> None:
    with entered(gateway):
        for _ in range(8):
            push(gateway, LARGE)
        wait_until(lambda: metric(gateway, "messageflow_shed_total") == 1, START_SECONDS)


# Streams


def stream_memory(gateway: Running) -> None:
    for _ in range(3):
        push(gateway, "x" * 700_000, "kept")
    assert metric(gateway, "messageflow_broker_publications_evicted_total") > 0


def broker(gateway: Running) -> None:
    assert push(gateway, 1)["ack"] == "memory"


def ack(gateway: Running) -> None:
    assert push(gateway, 1)["ack"] == "disk"


def stream_disk(gateway: Running) -> None:
    def over() -> bool:
        push(gateway, "x" * 700_000, "kept")
        return bool(gateway.events("disk_budget"))

    wait_until(over, START_SECONDS)


def workers(gateway: Running) -> None:
    assert len(call(gateway, "info", {})[1]["result"]["nodes"]) == 2


def namespaces(gateway: Running) -> None:
    assert "result" in call(gateway, "presence", {"channel": "open:x"})[1]
    assert call(gateway, "presence", {"channel": "closed:x"})[1]["error"]["code"] == 102


def drain_time(gateway: Running) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(entered(gateway, f"user{number}")) for number in range(30)]
        gateway.process.send_signal(signal.SIGTERM)
        assert {client.close_code() for client in clients} == {3001}
        gateway.process.wait(START_SECONDS)
    gateway.release()
    assert gateway.events("drained")[0]["left"] == 30  # nobody was asked in a group


def log_level(gateway: Running) -> None:
    with Client(gateway) as client:
        client.connect(token=token("talkative"))
        call(gateway, "disconnect", {"user": "talkative", "disconnect": {"code": 4000, "reason": "bye"}})
        assert client.close_code() == 4000
    wait_until(lambda: any(line["level"] == "debug" for line in gateway.events("disconnected")), START_SECONDS)


ROWS: dict[str, tuple[str, Callable[[Running], None]]] = {
    check.__name__: (name, check)
    for name, checks in {
        "elsewhere": (host,),
        "own": (base_path, classic, zeromq, zeromq_public),
        "pages": (tls_terminated, trusted_proxies, require_origin, metrics_public, broker),
        "keys": (
            *(allowed_origins, allow_anonymous, allow_token_without_expiry, api_key, token_secret, token_public_keys),
            *(token_audience, token_issuer, token_lifetime_limit),
        ),
        "limits": (
            *(ping_interval, pong_timeout, connect_timeout, handshake_timeout, message_size_limit, payload_size_limit),
            *(fragments_limit, commands_per_second, channels_per_connection, connections_per_user, history_limit),
            *(recovery_rate, idempotency_window, namespaces),
        ),
        "arriving": (arrivals_limit,),
        "full": (connections_limit,),
        "addresses": (unauthenticated_per_address,),
        "wide": (buffer_high_water, readers_behind, compression, compression_min_size),
        "small": (buffer_memory, stream_memory),
        "disk": (ack, stream_disk, client_insecure),
        "two": (workers,),
        "ending": (log_level, drain_time),
    }.items()
    for check in checks
}


@pytest.mark.parametrize("setting", ROWS)
def test_a_setting_that_is_set_shows(started: Started, setting: str) -> None:
    name, check = ROWS[setting]
    check(started(name))


# Settings that take more than a gateway


def test_port(tmp_path: Path) -> None:
    with running(["serve", *MEMORY], tmp_path, port=(port := free_port())):
        assert get(port, "/health") == (200, "ok\n")


def test_tls_cert_and_tls_key(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with running(["serve", *MEMORY, "--tls-cert", str(cert), "--tls-key", str(key)], tmp_path) as gateway:
        assert ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", gateway.port))) == (
            ssl.PEM_cert_to_DER_cert(cert.read_text())
        )


def test_broker_prefix(own_server: Server, tmp_path: Path) -> None:
    flags = ["--broker", f"redis://127.0.0.1:{own_server.port}", "--broker-prefix", "another"]
    with running(["serve", *flags], tmp_path) as gateway:
        push(gateway, 1)
        with own_server.client() as client:
            keys = client.keys("*")
    assert keys
    assert all(key.startswith(b"another") for key in keys)


def test_broker_deadline(own_server: Server, tmp_path: Path) -> None:
    flags = ["--broker", f"redis://127.0.0.1:{own_server.port}", "--broker-deadline", "1s"]
    with running(["serve", *flags], tmp_path) as gateway:
        own_server.signal(signal.SIGSTOP)
        try:
            body = {"X-API-Key": API_KEY}
            patience = Settings().streams.broker_deadline - 0.5
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=patience) as wire:
                data = b'{"user":"a","type":"t","payload":1}'
                head = "".join(f"{name}: {value}\r\n" for name, value in body.items())
                wire.sendall(
                    f"POST /api/push HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
                )
                assert wire.recv(20).startswith(b"HTTP/1.1 50")
        finally:
            own_server.signal(signal.SIGCONT)


def test_broker_start_timeout(tmp_path: Path) -> None:
    flags = ["--broker", f"redis://127.0.0.1:{free_port()}", "--broker-start-timeout", "0"]
    with pytest.raises(AssertionError, match="Redis cannot be reached"), running(["serve", *flags], tmp_path):
        pass


def test_data_dir_and_reset_damaged(tmp_path: Path) -> None:
    with running(["serve", "--data-dir", str(tmp_path / "here")], tmp_path / "elsewhere") as gateway:
        push(gateway, "recognisable")
    streams = tmp_path / "here" / "streams.db"
    whole = streams.read_bytes()
    assert b"recognisable" in whole
    streams.write_bytes(whole.replace(b"recognisable", b"unrecognised"))
    with (
        pytest.raises(AssertionError, match=r"streams\.db is damaged"),
        running(["serve", "--data-dir", str(tmp_path / "here")], tmp_path / "elsewhere"),
    ):
        pass
    flags = ["--data-dir", str(tmp_path / "here"), "--reset-damaged"]
    with running(["serve", *flags], tmp_path / "elsewhere") as gateway:
        assert push(gateway, 1)["offset"] == 1
        assert gateway.events("log_set_aside")


def test_shutdown_grace(tmp_path: Path) -> None:
    """A client that never answers the close frame, and never goes."""
    flags = ["--shutdown-grace", "1s", "--drain-time", "0"]
    with running(["serve", *MEMORY, *flags], tmp_path) as gateway, entered(gateway):
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(4.5)  # a closing handshake alone is given 5 s


HOOKS = """
import asyncio

running = most = 0

async def rpc(question):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(60 if question.method == "hang" else 0.1)
    running -= 1
    return most
"""


SEEING = """
def rpc(question):
    return dict(question.client.headers)
"""


def test_hook_headers(tmp_path: Path) -> None:
    (tmp_path / "seeing_hooks.py").write_text(SEEING)
    flags = ["--hooks", "seeing_hooks", "--hook-headers", "X-Tenant"]
    with (
        running(["serve", *MEMORY, *flags], tmp_path, cwd=tmp_path) as gateway,
        Client(gateway, headers="X-Tenant: acme\r\nCookie: a=b\r\n") as client,
    ):
        client.connect(token=token("alice"))
        assert answered(client, {"id": 2, "rpc": {"method": "seen"}})["rpc"] == {"data": {"x-tenant": "acme"}}


def test_hooks_hook_timeout_and_hook_concurrency(tmp_path: Path) -> None:
    (tmp_path / "some_hooks.py").write_text(HOOKS)
    flags = ["--hooks", "some_hooks", "--hook-timeout", "1s", "--hook-concurrency", "1"]
    with (
        running(["serve", *MEMORY, *flags], tmp_path, cwd=tmp_path) as gateway,
        entered(gateway) as one,
        entered(gateway) as other,
    ):
        one.say({"id": 2, "rpc": {"method": "wait"}})
        assert answered(other, {"id": 2, "rpc": {"method": "wait"}})["rpc"] == {"data": 1}
        assert answered(other, {"id": 3, "rpc": {"method": "hang"}})["error"]["code"] == 100
        wait_until(lambda: gateway.events("hook_timed_out"), START_SECONDS)
        assert [line["seconds"] for line in gateway.events("hook_timed_out")] == [1.0]


def test_hooks_url_and_hooks_secret(tmp_path: Path) -> None:
    """What is asked there is signed, and nobody gets in before it is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/asked"
        flags = ["--hooks-url", url, "--hooks-secret", "a-hooks-secret-for-tests-0123456789abcdef"]
        with running(["serve", *MEMORY, *flags], tmp_path) as gateway:
            listener.settimeout(START_SECONDS)
            wire, _ = listener.accept()
            with wire:
                request = wire.recv(65536).decode()
                head, _, body = request.partition("\r\n\r\n")
                assert head.startswith("POST /asked HTTP/1.1")
                headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
                number, stamp = headers["webhook-id"], int(headers["webhook-timestamp"])
                key = b"a-hooks-secret-for-tests-0123456789abcdef"
                assert is_signed([key], number, stamp, body.encode(), headers["webhook-signature"])
                with Client(gateway) as client:
                    client.say({"id": 1, "connect": {"token": token()}})
                    opcode, payload = client.receive()
                    assert (opcode, struct.unpack("!H", payload[:2])) == (8, (3004,))


def test_log_format(tmp_path: Path) -> None:
    environment = {**os.environ, "MESSAGEFLOW_DATA_DIR": str(tmp_path)}
    environment |= {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET}
    command = [sys.executable, "-m", "messageflow.cli", "serve", *MEMORY, "--port", "0", "--log-format", "console"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline(), process.stderr.readline()]  # what it says to people, and its first record
        process.terminate()
    assert "started host=127.0.0.1 port=" in "".join(lines)
    assert not any(line.startswith("{") for line in lines)


ELSEWHERE = {
    "port": test_port,
    "tls_cert": test_tls_cert_and_tls_key,
    "tls_key": test_tls_cert_and_tls_key,
    "broker_prefix": test_broker_prefix,
    "broker_deadline": test_broker_deadline,
    "broker_start_timeout": test_broker_start_timeout,
    "data_dir": test_data_dir_and_reset_damaged,
    "reset_damaged": test_data_dir_and_reset_damaged,
    "shutdown_grace": test_shutdown_grace,
    "hook_headers": test_hook_headers,
    "hooks_url": test_hooks_url_and_hooks_secret,
    "hooks_secret": test_hooks_url_and_hooks_secret,
    "hooks": test_hooks_hook_timeout_and_hook_concurrency,
    "hook_timeout": test_hooks_hook_timeout_and_hook_concurrency,
    "hook_concurrency": test_hooks_hook_timeout_and_hook_concurrency,
    "log_format": test_log_format,
}


def test_every_setting_has_a_row() -> None:
    assert set(ROWS) | set(ELSEWHERE) == {option.name for option in OPTIONS} | {"namespaces"}
