"""The server API over HTTP: shapes, refusals, health, metrics, TLS, the end."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from messageflow.api.openapi import make_page
from messageflow.gateway.client_script import CLIENT
from tests.brokers.redis.processes import Server, wait_until
from tests.gateway.asking import asked, get
from tests.gateway.test_bad_input import Client, token
from tests.support import API_KEY, Running, running

CONFIG = """
[[channel.namespaces]]
name = "seen"
presence = true
[[channel.namespaces]]
name = "objects"
publication_data_format = "json_object"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("api")
    (directory / "messageflow.toml").write_text(CONFIG)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory) as started:
        yield started


def fetch(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a request."""
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def call(gateway: Running, method: str, body: Any) -> tuple[int, Any]:
    """Call the API; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = fetch(f"{gateway.url}/api/{method}", data, X_API_Key=API_KEY)
    return status, json.loads(answer)


def test_a_push_answers_with_its_receipt(gateway: Running) -> None:
    status, answer = call(gateway, "push", {"user": "alice", "type": "a/b", "payload": {"x": 1}})
    assert status == 200
    assert answer["result"] | {"epoch": "", "tag": ""} == {
        "channel": "#alice",
        "offset": 1,
        "epoch": "",
        "tag": "",
        "ack": "os",
    }
    _, page = call(gateway, "history", {"channel": "#alice", "limit": 1})
    assert page["result"]["publications"][0]["data"] == {"type": "a/b", "payload": {"x": 1}}


@pytest.mark.parametrize(
    ("method", "body", "status", "code"),
    [
        ("nothing", {}, 200, 104),
        ("publish", b"{", 400, 107),
        ("publish", b"\xff", 400, 107),
        ("publish", {"channel": "nowhere:x", "data": 1}, 200, 102),
        ("publish", {"channel": "x"}, 200, 107),
        ("publish", {"channel": "x", "data": "x" * 70_000}, 413, 107),
        ("publish", b'{"channel":"x","data":' + b"[" * 40 + b"]" * 40 + b"}", 400, 107),
        ("publish", {"channel": "x", "b64data": "%%%"}, 200, 107),
        ("publish", {"channel": "objects:x", "data": 1}, 200, 107),
        ("push", {"user": "*", "type": "a", "payload": 1}, 200, 107),
        ("push", b'{"user":"alice","type":"a","payload":NaN}', 400, 107),
        ("publish", b'{"channel":"x","data":[1,{"y":-Infinity}]}', 400, 107),
        ("publish", b'{"channel":"x","b64data":"TmFO"}', 200, 107),
        ("batch", b'{"commands":[{"publish":{"channel":"x","data":Infinity}}]}', 400, 107),
        ("push", {"user": "alice", "payload": 1}, 200, 107),
        ("presence", {"channel": "x"}, 200, 108),
        ("broadcast", {"channels": [], "data": 1}, 200, 107),
        ("disconnect", {}, 200, 107),
        ("history", {"channel": "x", "since": {"offset": 1, "epoch": "another"}, "limit": 1}, 200, 112),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_with_its_code(
    gateway: Running, method: str, body: Any, status: int, code: int
) -> None:
    answered, answer = call(gateway, method, body)
    assert (answered, answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize("headers", [{}, {"X_API_Key": "wrong"}, {"Authorization": "apikey wrong"}])
def test_without_the_key_nothing_is_done(gateway: Running, headers: dict[str, str]) -> None:
    status, answer = fetch(f"{gateway.url}/api/publish?api_key={API_KEY}", b"{}", **headers)
    assert status == 401
    assert b"X-API-Key" in answer


def test_data_may_come_as_base64_and_on_several_lines(gateway: Running) -> None:
    encoded = base64.b64encode(b'{\n "a": 1\n}').decode()
    call(gateway, "publish", {"channel": "base64", "b64data": encoded})
    call(gateway, "publish", b'{"channel": "base64", "data": {\n"b": 2\n}}')
    _, page = call(gateway, "history", {"channel": "base64", "limit": 9})
    assert [p["data"] for p in page["result"]["publications"]] == [{"a": 1}, {"b": 2}]


def test_what_skips_history_has_no_offset(gateway: Running) -> None:
    _, answer = call(gateway, "publish", {"channel": "skipping", "data": 1, "skip_history": True})
    assert answer["result"] == {"channel": "skipping", "ack": "memory"}


def test_a_batch_answers_each_command_in_order(gateway: Running) -> None:
    commands = [
        {"push": {"user": "batch", "type": "a", "payload": 1}},
        {"publish": {"channel": "nowhere:x", "data": 1}},
        {"push": {"user": "batch", "type": "a", "payload": 2}},
        {"presence_stats": {"channel": "#batch"}},
        {"nonsense": {}},
    ]
    _, answer = call(gateway, "batch", {"commands": commands})
    first, second, third, fourth, fifth = answer["replies"]
    assert (first["push"]["offset"], third["push"]["offset"]) == (1, 2)
    assert (second["error"]["code"], fifth["error"]["code"]) == (102, 104)
    assert fourth["presence_stats"] == {"num_clients": 0, "num_users": 0}


def test_health_readiness_and_the_browser_client(gateway: Running) -> None:
    assert fetch(f"{gateway.url}/health") == (200, b"ok\n")
    assert fetch(f"{gateway.url}/ready") == (200, b"ready\n")
    status, script = fetch(f"{gateway.url}/messageflow.js")
    assert status == 200
    assert b"messageflow" in script
    assert fetch(f"{gateway.url}/connection/websocket")[0] == 426
    assert fetch(f"{gateway.url}/elsewhere")[0] == 404


def test_the_openapi_document_is_served(gateway: Running) -> None:
    for root in ("", "/messageflow"):
        assert fetch(f"{gateway.url}{root}/openapi.json") == (200, make_page())
    with asked(gateway.port, "/openapi.json") as response:
        assert response.headers["Content-Type"] == "application/json"


def without_date(headers: Message) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "date"}


def test_the_browser_client_may_be_had_from_any_page_and_is_not_sent_again(gateway: Running) -> None:
    with asked(gateway.port, "/messageflow.js") as response:
        headers, script = response.headers, response.read()
    assert script == CLIENT.read_bytes()
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Content-Length"] == str(len(script))
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Timing-Allow-Origin"] == "*"
    with asked(gateway.port, "/messageflow.js", method="HEAD") as response:
        assert (response.status, response.read(), without_date(response.headers)) == (200, b"", without_date(headers))
    tag = headers["ETag"]
    for known in (tag, "*", f"W/{tag}", f'"other", {tag}'):
        with asked(gateway.port, "/messageflow.js", {"If-None-Match": known}) as response:
            assert (response.status, response.read(), response.headers["ETag"]) == (304, b"", tag)
            assert response.headers["Access-Control-Allow-Origin"] == "*"
    for other in ('"other"', tag.strip('"')):
        with asked(gateway.port, "/messageflow.js", {"If-None-Match": other}) as response:
            assert (response.status, response.read()) == (200, script)


def test_metrics_are_for_this_machine_and_for_the_key(gateway: Running) -> None:
    status, text = fetch(f"{gateway.url}/metrics")
    assert status == 200
    assert b"messageflow_sessions 0.0" in text
    assert fetch(f"{gateway.url}/metrics", X_Forwarded_For="203.0.113.1")[0] == 401
    assert fetch(f"{gateway.url}/metrics", X_Forwarded_For="203.0.113.1", X_API_Key=API_KEY)[0] == 200


def test_where_a_proxy_ends_tls_nobody_on_this_machine_is_shown_metrics_without_the_key(tmp_path: Path) -> None:
    with running(["serve", "--broker", "memory", "--tls-terminated"], tmp_path) as gateway:
        status, text = fetch(f"{gateway.url}/metrics")
        assert status == 401
        assert b"API key" in text
        assert fetch(f"{gateway.url}/metrics", X_API_Key=API_KEY)[0] == 200


def test_what_troubles_a_gateway_is_told_to_those_who_run_it(own_server: Server, tmp_path: Path) -> None:
    with running(["serve", "--broker", f"redis://127.0.0.1:{own_server.port}"], tmp_path) as gateway:
        assert get(gateway.port, "/ready", Host="push.example.com") == (200, "ready\n")
        own_server.stop()
        wait_until(lambda: get(gateway.port, "/ready")[0] == 503)
        assert get(gateway.port, "/ready", Host="push.example.com") == (503, "not ready\n")
        status, told = get(gateway.port, "/ready")
        assert (status, "not ready" in told) == (503, False)
        assert len(told) > 5
        with_key = {"Host": "push.example.com", "X_API_Key": API_KEY}
        wait_until(lambda: get(gateway.port, "/ready", **with_key) == get(gateway.port, "/ready"))  # it may change
        assert get(gateway.port, "/ready", **with_key)[0] == 503


def test_a_reason_that_is_longer_in_bytes_than_in_characters_ends_the_connection_all_the_same(gateway: Running) -> None:
    with Client(gateway) as client:
        client.connect(token=token("reasoned"))
        call(gateway, "disconnect", {"user": "reasoned", "disconnect": {"code": 4000, "reason": "é" * 100}})
        assert client.close_code() == 4000


def test_sigterm_sends_clients_away_with_a_code_that_invites_back(tmp_path: Path) -> None:
    with running(["serve"], tmp_path) as gateway, Client(gateway) as client:
        assert "connect" in client.connect(token=token())
        assert gateway.terminate() == 0
        assert client.close_code() == 3001


@pytest.mark.parametrize(
    ("flags", "origin", "status"),
    [
        ([], "http://127.0.0.1", 101),
        ([], "https://127.0.0.1", 403),
        (["--tls-terminated"], "https://127.0.0.1", 101),
        (["--tls-terminated"], "http://127.0.0.1", 403),
    ],
)
def test_behind_a_proxy_that_ends_tls_the_own_origin_is_https(
    tmp_path: Path, flags: list[str], origin: str, status: int
) -> None:
    with (
        running(["serve", *flags], tmp_path) as gateway,
        Client(gateway, headers=f"Origin: {origin}:{gateway.port}\r\n") as client,
    ):
        assert client.status == status


def test_a_port_in_use_is_a_sentence_and_no_traceback(gateway: Running, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="already in use") as refused,
        running(["serve"], tmp_path, port=gateway.port),
    ):
        pass
    assert "Traceback" not in str(refused.value)


def certificate(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, private = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


def test_tls_by_certificate_files(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with running(["serve", "--tls-cert", str(cert), "--tls-key", str(key)], tmp_path) as gateway:
        trusting = ssl.create_default_context(cafile=str(cert))
        with urllib.request.urlopen(f"https://localhost:{gateway.port}/ready", context=trusting) as response:
            assert response.read() == b"ready\n"


def test_who_does_not_begin_with_tls_is_not_waited_for_longer_than_for_a_head(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls = ["--tls-cert", str(cert), "--tls-key", str(key), "--handshake-timeout", "0.5s"]
    with (
        running(["serve", "--broker", "memory", *tls], tmp_path) as gateway,
        socket.create_connection(("localhost", gateway.port), timeout=30) as silent,
    ):
        assert silent.recv(1) == b""  # within half a minute, where a TLS library waits for a whole one
