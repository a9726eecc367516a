"""Clients without a WebSocket: an answer that does not end, and commands that may arrive at any worker or node."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from messageflow import Flow
from tests.dialects import official_protobuf as protobuf
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

SECONDS = 15.0
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("emulation")
    arguments = ["serve", "--workers", str(request.param), "--allowed-origins", "https://shop.example"]
    with running(arguments, directory) as started:
        yield started


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


class Client:
    """One client, by lines."""

    def __init__(self, gateway: Running, token: str) -> None:
        self._port = gateway.port
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=SECONDS)
        body, headers = self.write({"id": 1, "connect": {"token": token}})
        self._connection.request("POST", "/connection/http_stream", body, headers)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.connected = self.line()

    def write(self, *commands: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Return one message with commands, and the headers that say what it is."""
        return "\n".join(map(json.dumps, commands)).encode(), {}

    def line(self) -> Any:
        """Return the next reply or push; pings are passed over."""
        while True:
            line = json.loads(self._answer.readline())
            if line:
                return line

    def send(self, *commands: dict[str, Any]) -> int:
        """Send commands over a connection of their own; return the status."""
        result = self.connected["connect"]
        data, _ = self.write(*commands)
        return send(self._port, {"session": result["session"], "node": result["node"], "data": data.decode()})

    def leave(self) -> None:
        """Go away as a page does."""
        self._answer.close()
        self._connection.close()


class BinaryClient(Client):
    """One client, in Protobuf."""

    def write(self, *commands: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        return protobuf.write(commands), BINARY

    def line(self) -> Any:
        while True:
            length = shift = 0
            while True:
                byte = self._answer.read(1)[0]
                length, shift = length | (byte & 127) << shift, shift + 7
                if byte < 128:
                    break
            if length:
                return protobuf.to_json(protobuf.Reply.FromString(self._answer.read(length)))

    def send(self, *commands: dict[str, Any]) -> int:
        data, _ = self.write(*commands)
        return self.send_bytes(data)

    def send_bytes(self, data: bytes) -> int:
        result = self.connected["connect"]
        request = protobuf.CLASSES["EmulationRequest"](session=result["session"], node=result["node"], data=data)
        return send(self._port, request.SerializeToString(), headers=BINARY)


def send(port: int, body: object, path: str = "/connection/emulation", headers: dict[str, str] | None = None) -> int:
    """Send a request with commands; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", path, body if isinstance(body, str | bytes) else json.dumps(body), headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def client(gateway: Running, flow: Flow) -> Iterator[Client]:
    client = Client(gateway, flow.token("ann", allow=["news:*=subscribe,publish"]))
    yield client
    client.leave()


def test_commands_arrive_wherever_they_are_sent(client: Client, flow: Flow) -> None:
    for number in range(2, 12):  # over connections of their own, which workers share
        assert client.send({"id": number, "ping": {}}) == 204
        assert client.line()["id"] == number
    flow.push("ann", "a", 1)
    assert client.line()["push"]["pub"]["data"] == {"type": "a", "payload": 1}


def test_several_commands_travel_together(client: Client) -> None:
    assert client.send({"id": 2, "ping": {}}, {"id": 3, "subscribe": {"channel": "no:way"}}) == 204
    assert [client.line()["id"], client.line()["id"]] == [2, 3]


def test_a_refused_token_is_told_in_the_protocol(gateway: Running, flow: Flow) -> None:
    refused = Client(gateway, "nonsense")
    assert refused.status == 200
    assert refused.connected == {"push": {"disconnect": {"code": 3500, "reason": "invalid token"}}}
    refused.leave()


def test_who_leaves_is_gone_at_once_and_their_session_with_them(gateway: Running, flow: Flow) -> None:
    client = Client(gateway, flow.token("ben"))
    assert flow.online("ben")
    client.leave()
    wait_until(lambda: not flow.online("ben"), seconds=2)
    assert client.send({"id": 2, "ping": {}}) == 404


def test_nobody_reaches_the_session_of_another(gateway: Running, client: Client, flow: Flow) -> None:
    result = client.connected["connect"]
    another = Client(gateway, flow.token("eve"))
    theirs = another.connected["connect"]
    command = '{"id":9,"ping":{}}'
    for session in (result["client"], "", "x", result["session"][:-1], f"{result['session']}\n", "é"):
        assert send(gateway.port, {"session": session, "node": result["node"], "data": command}) == 404
    for forged in ("another", "", "1-x", "\ud800"):
        assert send(gateway.port, {"session": theirs["session"], "node": forged, "data": command}) in (400, 404)
    assert another.send({"id": 2, "ping": {}}) == 204
    assert another.line()["id"] == 2  # and nothing else came
    client.send({"id": 2, "ping": {}})
    assert client.line()["id"] == 2  # and nothing else came
    another.leave()


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"session":1,"node":"n","data":"x"}', '{"session":"s"'])
def test_what_is_no_request_is_refused(gateway: Running, body: str) -> None:
    assert send(gateway.port, body) == 400


def test_what_is_too_large_or_from_elsewhere_is_refused(gateway: Running) -> None:
    assert send(gateway.port, "x" * 70_000) == 413
    assert send(gateway.port, "{}", headers={"Origin": "https://evil.example"}) == 403
    assert send(gateway.port, "", path="/connection/http_stream") == 400


def test_many_who_ask_for_what_nobody_has_hold_up_nobody(gateway: Running, client: Client) -> None:
    body = json.dumps({"session": "x" * 22, "node": "n", "data": "{}"})
    asking = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=SECONDS) for _ in range(400)]
    for each in asking:
        each.request("POST", "/connection/emulation", body)
    assert {each.getresponse().status for each in asking} <= {404, 503}
    for each in asking:
        each.close()
    assert client.send({"id": 2, "ping": {}}) == 204
    assert client.line()["id"] == 2


def test_a_message_that_is_no_command_ends_the_connection(client: Client) -> None:
    result = client.connected["connect"]
    assert send(client._port, {"session": result["session"], "node": result["node"], "data": "nonsense"}) == 204
    assert client.line() == {"push": {"disconnect": {"code": 3501, "reason": "bad request"}}}


def test_in_protobuf_commands_arrive_wherever_they_are_sent(gateway: Running, flow: Flow) -> None:
    client = BinaryClient(gateway, flow.token("ann", allow=["news:*=subscribe,publish"]))
    for number in range(2, 12):
        assert client.send({"id": number, "ping": {}}, {"id": number + 20, "presence": {"channel": "no:way"}}) == 204
        assert [client.line()["id"], client.line()["id"]] == [number, number + 20]
    flow.push("ann", "a", 1)
    assert client.line()["push"]["pub"]["data"] == {"type": "a", "payload": 1}
    assert client.send_bytes(b"nonsense") == 204
    assert client.line() == {"push": {"disconnect": {"code": 3501, "reason": "bad request"}}}
    client.leave()


@pytest.mark.parametrize("body", [b"", b"\x0a", b"\x12\x05ab", b"\x12\x01\xff"])
def test_what_is_no_request_in_protobuf_is_refused(gateway: Running, body: bytes) -> None:
    assert send(gateway.port, body, headers=BINARY) in (400, 404)  # an empty one names no session


def test_official_clients_find_it_where_they_look(gateway: Running, client: Client) -> None:
    result = client.connected["connect"]
    body = {"session": result["session"], "node": result["node"], "data": '{"id":2,"ping":{}}'}
    assert send(gateway.port, body, path="/emulation") == 204
    assert client.line()["id"] == 2
