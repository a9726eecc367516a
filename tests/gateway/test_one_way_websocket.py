"""WebSockets of clients that only listen, through a real gateway: who is let in, what they hear, how they end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from messageflow import Flow
from messageflow.core.codes import (
    INTERNAL,
    PERMISSION_DENIED,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    ErrorCode,
)
from messageflow.gateway.one_way_websocket import close_for
from messageflow.gateway.websocket_frames import binary_frame, payload_of, text_frame
from tests.support import API_KEY, TOKEN_SECRET, Running, running
from tests.waiting import wait_until

PATH = "/connection/uni_websocket"
SECONDS = 15.0
SETTINGS = """
ping_interval = 1
pong_timeout = 0.5
connections_per_user = 2
[channel.without_namespace]
history_size = 10
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("messages")
    (directory / "messageflow.toml").write_text(SETTINGS)
    arguments = ["serve", "--config", str(directory / "messageflow.toml"), "--allowed-origins", "https://shop.example"]
    with running(arguments, directory / "data") as started:
        yield started


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


def listen(gateway: Running, query: str = "", **options: Any) -> ClientConnection:
    opened: ClientConnection = connect(f"ws://127.0.0.1:{gateway.port}{PATH}{query}", open_timeout=SECONDS, **options)
    return opened


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def hear(client: ClientConnection) -> Any:
    """Return the next message that is no ping."""
    while True:
        message = json.loads(client.recv(SECONDS))
        if message:
            return message


def end_of(client: ClientConnection) -> tuple[int, str]:
    """Return code and reason with which it ends."""
    with pytest.raises(ConnectionClosed) as closed:
        hear(client)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_the_first_message_is_the_connect(gateway: Running, flow: Flow) -> None:
    with listen(gateway) as client:
        client.send(json.dumps({"token": flow.token("ann", channels=["news"]), "name": "a script"}))
        begun = hear(client)["connect"]
        assert list(begun["subs"]) == ["#ann", "*", "news"]
        assert "pong" not in begun, "pings are answered by its library"
        [node] = flow.info()
        assert ("websocket", "unidirectional") in [(each.transport, each.dialect) for each in node.transports]
        client.send('{"id":2,"publish":{"channel":"news","data":1}}')  # which is not looked at
        client.send("{")
        flow.push("ann", "report/ready", {"id": 7})
        assert hear(client)["pub"]["data"] == {"type": "report/ready", "payload": {"id": 7}}
        flow.publish("news", [1, 2])
        told = hear(client)
        assert (told["channel"], told["pub"]["data"]) == ("news", [1, 2])


def test_the_request_is_the_connect_where_it_says_who_comes(gateway: Running, flow: Flow) -> None:
    with listen(gateway, additional_headers=bearer(flow.token("ben"))) as client:
        assert list(hear(client)["connect"]["subs"]) == ["#ben", "*"]
    ticket = flow.ticket("cat", channels=["news"])
    with listen(gateway, f"?ticket={ticket}") as client:
        assert list(hear(client)["connect"]["subs"]) == ["#cat", "*", "news"]
    with listen(gateway, f"?ticket={ticket}") as again:
        assert end_of(again)[0] == 3500
    with listen(gateway, "?cf_connect={}") as nobody:
        assert end_of(nobody)[0] == 3501


def test_what_was_missed_comes_in_the_answer_to_who_says_where_they_were(gateway: Running, flow: Flow) -> None:
    token = flow.token("dan")
    with listen(gateway, additional_headers=bearer(token)) as client:
        begun = hear(client)["connect"]["subs"]["#dan"]
    flow.push("dan", "missed", 1)
    held = {"recover": True, "epoch": begun["epoch"], "offset": begun.get("offset", 0)}
    with listen(gateway) as client:
        client.send(json.dumps({"token": token, "subs": {"#dan": held}}))
        came = hear(client)["connect"]["subs"]["#dan"]
        assert came["recovered"]
        assert [each["data"] for each in came["publications"]] == [{"type": "missed", "payload": 1}]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("{", 3501),
        ("[1]", 3501),
        ("", 3501),
        ('{"token":"none"}', 3500),
        (b"{}", 1003),
    ],
)
def test_who_is_not_let_in_is_told_by_the_close(gateway: Running, first: str | bytes, code: int) -> None:
    with listen(gateway) as client:
        client.send(first)
        assert end_of(client)[0] == code


def test_a_token_that_is_over_is_not_to_be_tried_again(gateway: Running) -> None:
    late = jwt.encode({"sub": "eve", "exp": time.time() - 600}, TOKEN_SECRET, "HS256")
    with listen(gateway, additional_headers=bearer(late)) as client:
        assert end_of(client) == (3500, "token expired")


@pytest.mark.parametrize(
    ("query", "options", "status"),
    [
        ("?token=abc", {}, 400),
        ('?cf_connect={"token":"abc"}', {}, 400),
        ("?ticket=a&token=abc", {}, 400),
        ("", {"origin": "https://evil.example"}, 403),
    ],
)
def test_what_is_refused_before_it_is_open(gateway: Running, query: str, options: Any, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, listen(gateway, query, **options):
        pass
    assert refused.value.response.status_code == status


def test_a_subprotocol_is_not_spoken(gateway: Running) -> None:
    with listen(gateway, subprotocols=["centrifuge-json"]) as client:
        assert end_of(client)[0] == 3506


def test_a_ticket_may_have_any_letters(gateway: Running) -> None:
    with listen(gateway, "?ticket=atokenb", origin="https://shop.example") as client:
        assert end_of(client)[0] == 3500


def test_its_library_answers_pings_and_who_is_silent_is_found(
    gateway: Running, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen(gateway, additional_headers=bearer(flow.token("fay"))) as client:
        hear(client)
        client.protocol.send_pong(b"nobody asked")
        for _ in range(2):  # the second comes only to those who have answered the first
            assert client.recv(SECONDS) == "{}"
        send = client.protocol.send_frame
        monkeypatch.setattr(
            client.protocol, "send_frame", lambda frame: None if frame.opcode is Opcode.PONG else send(frame)
        )
        assert end_of(client)[0] == 3012


def test_a_user_with_all_their_connections_is_told_to_come_later(gateway: Running, flow: Flow) -> None:
    headers = bearer(flow.token("gus"))
    with (
        listen(gateway, additional_headers=headers) as one,
        listen(gateway, additional_headers=headers) as two,
        listen(gateway, additional_headers=headers) as three,
    ):
        hear(one)
        hear(two)
        assert end_of(three)[0] == 3404


def test_who_leaves_is_gone_and_who_is_revoked_or_over_is_cut(gateway: Running, flow: Flow) -> None:
    hers = bearer(flow.token("hal"))
    with listen(gateway, additional_headers=hers) as client:
        hear(client)
        flow.revoke("hal")
        assert end_of(client)[0] == 3005
    with listen(gateway, additional_headers=hers) as client:
        assert end_of(client)[0] == 3500
    with listen(gateway, f"?ticket={flow.ticket('ida', lifetime=1.0)}") as client:
        hear(client)
        assert end_of(client) == (3005, "connection expired")
    with listen(gateway, additional_headers=bearer(flow.token("joe"))) as client:
        hear(client)
        assert flow.online("joe")
    wait_until(lambda: not flow.online("joe"))


def test_a_gateway_that_ends_says_so(tmp_path: Path) -> None:
    with running(["serve"], tmp_path / "data") as ending:
        flow = Flow(ending.url, api_key=API_KEY, token_secret=TOKEN_SECRET)
        with listen(ending, additional_headers=bearer(flow.token("kim"))) as client:
            hear(client)
            assert ending.terminate() == 0
            assert end_of(client) == (3001, "shutdown")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UNAUTHORIZED, 3500),
        (TOKEN_EXPIRED, 3500),
        (PERMISSION_DENIED, 3507),
        (ErrorCode(4001, "of the application"), 3507),
        (TOO_MANY_REQUESTS, 3013),
        (INTERNAL, 3004),
    ],
)
def test_a_refusal_becomes_the_close_that_says_whether_to_come_back(error: ErrorCode, code: int) -> None:
    assert close_for(error) == (code, error.message)
    assert close_for(error).reconnect == error.temporary


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_what_a_frame_holds(size: int) -> None:
    payload = b"{" * size
    assert payload_of(text_frame(payload)) == payload_of(binary_frame(payload)) == payload
    assert payload_of(Frame(Opcode.TEXT, payload).serialize(mask=False)) == payload
