"""What a line of the log looks like, and how many there are of what comes in floods."""

from __future__ import annotations

import base64
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from messageflow.core.line_rates import BURST
from messageflow.gateway.logs import ConsoleFormatter, JsonFormatter, RateLimit
from messageflow.testing.clock import ManualClock
from tests.brokers.redis.processes import Server
from tests.faults.machine import SmallDisk
from tests.gateway.asking import get, upgrade
from tests.gateway.test_api import certificate, fetch
from tests.gateway.test_bad_input import Client
from tests.gateway.test_rebinding import APPLICATION
from tests.support import API_KEY, Running, running
from tests.waiting import wait_until

FLOOD = 200  # of each
FEW = FLOOD // 4  # more than are written in the time a flood takes, however slow the machine is


def record(name: str = "messageflow.hub", message: str = "an_event", line: int = 1, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, f"/{name}.py", line, message, (), None)
    vars(made).update(fields)
    return made


# The filter


def test_a_kind_of_ours_is_its_event() -> None:
    limit = RateLimit(ManualClock())
    passed = [limit.filter(record(message=message)) for message in ("a", "b") for _ in range(BURST + 2)]
    assert passed == 2 * ([True] * BURST + [False] * 2)
    assert limit.suppressed == 4


def test_a_kind_of_a_library_is_its_place_in_the_code_whatever_it_says() -> None:
    limit = RateLimit(ManualClock())
    passed = [limit.filter(record("asyncio", f"from {number}")) for number in range(BURST + 2)]
    assert passed == [True] * BURST + [False] * 2
    assert limit.filter(record("asyncio", "from 1", line=2))
    assert limit.filter(record("asyncio.other", "from 1"))


def test_the_next_line_of_a_kind_says_how_many_were_dropped() -> None:
    clock = ManualClock()
    limit = RateLimit(clock)
    for _ in range(BURST + 7):
        limit.filter(record())
    clock.advance(1.0)
    line = record()
    assert limit.filter(line)
    assert json.loads(JsonFormatter().format(line))["suppressed_before"] == 7


def test_what_the_hub_has_limited_is_not_limited_again() -> None:
    limit = RateLimit(ManualClock())
    assert all(limit.filter(record(limited=True)) for _ in range(BURST * 2))
    assert "limited" not in JsonFormatter().format(record(limited=True))


def test_the_access_log_has_room_for_people_and_an_end() -> None:
    limit = RateLimit(ManualClock())
    assert 100 <= sum(limit.filter(record("uvicorn.access")) for _ in range(10_000)) <= 500


# The formatters


def test_a_line_of_json_holds_event_and_fields_and_no_client_can_forge_one() -> None:
    line = JsonFormatter().format(record(user='x"\n{"event": "forged"}', code=3500))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["event"], found["level"], found["logger"]) == ("an_event", "warning", "messageflow.hub")
    assert (found["user"], found["code"]) == ('x"\n{"event": "forged"}', 3500)


def test_a_line_for_people_shows_control_characters_and_quotes_what_has_spaces() -> None:
    line = ConsoleFormatter(colour=False).format(record(user="x\x1b[31m\n", reason="two words", empty=""))
    assert line.endswith('warning  an_event user=x\\x1b[31m\\n reason="two words" empty=""')
    assert "\x1b" not in line
    assert "\x1b[33mwarning" in ConsoleFormatter(colour=True).format(record())


# Floods


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(["serve"], tmp_path_factory.mktemp("gateway")) as started:
        yield started


def say(gateway: Running, data: bytes) -> None:
    """Send these bytes on a connection of their own, and wait until it is closed or answered."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(data)
        try:
            connection.recv(4096)
        except ConnectionResetError:
            pass


def flood(what: Callable[[], object], times: int = FLOOD) -> None:
    for _ in range(times):
        what()


def come_with(gateway: Running, command: dict[str, Any]) -> None:
    with Client(gateway) as client:
        client.say(command)
        assert client.close_code() == 3500


def break_the_protocol(gateway: Running) -> None:
    with Client(gateway) as client:
        client.frame(b"{}", masked=False)
        assert client.close_code() == 1002


FLOODS: dict[str, Callable[[Running], object]] = {
    "an upgrade to an unknown path": lambda gateway: upgrade(gateway.port, "/elsewhere"),
    "an upgrade to what is not a WebSocket": lambda gateway: get(
        gateway.port, "/ready", Connection="Upgrade", Upgrade="h2c"
    ),
    "an upgrade without a key": lambda gateway: say(
        gateway,
        b"GET /connection/websocket HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ),
    "a page of another origin": lambda gateway: upgrade(gateway.port, Origin="http://evil.example"),
    "no HTTP": lambda gateway: say(gateway, b"\x16\x03\x01 nonsense\r\n\r\n"),
    "a bad token": lambda gateway: come_with(gateway, {"id": 1, "connect": {"token": "a.b.c"}}),
    "a broken protocol": break_the_protocol,
    "a call without the key": lambda gateway: fetch(f"{gateway.url}/api/publish", b"{}"),
    "a call that is none": lambda gateway: fetch(f"{gateway.url}/api/publish", b"{", X_API_Key=API_KEY),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_of_what_clients_send_is_a_few_lines(gateway: Running, what: str) -> None:
    assert get(gateway.port, "/ready") == (200, "ready\n")
    before = len(gateway.lines)
    flood(lambda: FLOODS[what](gateway))
    assert get(gateway.port, "/ready") == (200, "ready\n")
    assert len(gateway.lines) - before < FEW
    assert all(line.startswith(("{", "messageflow ")) for line in gateway.lines)


def push(gateway: Running) -> tuple[int, bytes]:
    return fetch(f"{gateway.url}/api/push", b'{"user":"a","type":"t","payload":1}', X_API_Key=API_KEY)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not SmallDisk.possible():
        pytest.skip("it takes root and the right to mount a tmpfs to fill a disk")
    disk = SmallDisk(tmp_path)
    assert disk.mount()
    yield disk
    disk.unmount()


def test_a_flood_of_pushes_onto_a_full_disk_is_a_few_lines(small_disk: SmallDisk, tmp_path: Path) -> None:
    with running(["serve"], tmp_path) as gateway:
        assert push(gateway)[0] == 200
        small_disk.fill()
        while push(gateway)[0] == 200:
            pass  # what room the log had left in its last pages
        before = len(gateway.lines)
        flood(lambda: push(gateway))
        status, answer = push(gateway)
        assert (status, b"storage_full" in answer) == (507, True)
        assert gateway.events("storage_full")
        assert gateway.events("call_failed")
        assert len(gateway.lines) - before < 2 * FEW  # the broker says so, and the call
        metrics = fetch(f"{gateway.url}/metrics")[1].decode()
        dropped = next(line for line in metrics.splitlines() if line.startswith("messageflow_logs_suppressed_total"))
        assert float(dropped.split()[1]) > FLOOD
        small_disk.empty()
        assert push(gateway)[0] == 200


def test_a_flood_of_calls_that_a_broken_broker_fails_is_a_few_lines(own_server: Server, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{own_server.port}"
    with running(["serve", "--broker", url, "--broker-deadline", "500ms"], tmp_path) as gateway:
        wait_until(lambda: push(gateway)[0] == 200)
        own_server.stop()
        before = len(gateway.lines)
        threads = [threading.Thread(target=flood, args=(lambda: push(gateway), FLOOD // 10)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert push(gateway)[0] in (503, 504)
        assert gateway.events("call_failed")
        assert len(gateway.lines) - before < 3 * FEW


def test_a_flood_on_a_port_with_tls_is_a_few_lines(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with running(["serve", "--tls-cert", str(cert), "--tls-key", str(key)], tmp_path) as gateway:
        before = len(gateway.lines)
        flood(lambda: say(gateway, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"))
        trusting = ssl.create_default_context(cafile=str(cert))
        with (
            socket.create_connection(("127.0.0.1", gateway.port)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            assert connection.version()
        assert len(gateway.lines) - before < FEW
        assert all(line.startswith(("{", "messageflow ")) for line in gateway.lines)


FAILING = (
    APPLICATION
    + """
    if scope.get("path") == "/fails":
        raise ZeroDivisionError
"""
)


def test_a_flood_of_requests_that_the_application_fails_at_is_a_few_lines(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING.replace('"http":', '"http" and scope["path"] != "/fails":'))
    with running(["run", "failing:app"], tmp_path, cwd=tmp_path) as gateway:
        flood(lambda: get(gateway.port, "/fails"))
        assert get(gateway.port, "/") == (200, "a token")
        failures = [line for line in gateway.lines if "Exception in ASGI" in line]
    assert 1 <= len(failures) < FEW
    assert "ZeroDivisionError" in failures[0]


def test_a_flood_of_requests_to_an_application_ends_in_its_access_log(tmp_path: Path) -> None:
    (tmp_path / "quiet.py").write_text(APPLICATION)
    with running(["run", "quiet:app"], tmp_path, cwd=tmp_path) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
            request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            received = b""
            for _ in range(20):
                connection.sendall(request * 100)
                while received.count(b"a token") < 100:
                    received += connection.recv(1 << 16)
                received = b""
        key = base64.b64encode(b"0123456789abcdef").decode()
        flood(lambda: upgrade(gateway.port, "/chat", Sec_WebSocket_Key=key, Sec_WebSocket_Version="12"))
    assert 200 <= len(gateway.lines) < 1500
