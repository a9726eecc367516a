"""docs/protocol.md names all that the wire has, and its exchanges are what a gateway says."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from messageflow import Flow
from messageflow.core import codes, protocol
from messageflow.core.codes import Disconnect, ErrorCode, Unsubscribe
from messageflow.core.protocol import METHODS, Command, FaultyCommand
from messageflow.dialects import native
from messageflow.dialects.protobuf_fields import PUSH, REPLY, REQUESTS
from messageflow.dialects.protobuf_fields import RESULTS as ANSWERS
from tests.docs.test_limits import sent
from tests.support import API_KEY, TOKEN_SECRET, Running, running

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
EXCHANGES = re.findall(r"^```exchange\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
EXAMPLES = re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"<([a-z0-9 ]+)>")
ANYTHING = {"the rest", "why", "version"}
SECONDS = 20

RESULTS: dict[str, type[Struct]] = {
    "connect": protocol.ConnectResult,
    "subscribe": protocol.SubscribeResult,
    "presence": protocol.PresenceResult,
    "presence_stats": protocol.PresenceStatsResult,
    "history": protocol.HistoryResult,
    "refresh": protocol.RefreshResult,
    "sub_refresh": protocol.SubRefreshResult,
}
PUSHES: dict[str, type[Struct]] = {
    "pub": protocol.PublicationView,
    "moved": protocol.Moved,
    "join": protocol.Joined,
    "leave": protocol.Left,
    "subscribe": protocol.Subscribed,
    "unsubscribe": protocol.Unsubscribed,
    "refresh": protocol.Refreshed,
}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of a section's table by what stands first in them, without its backticks."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line[1:-1].split("|") for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in cells[2:]}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def starred(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`\*", cell))


def fields(kind: type[Struct]) -> set[str]:
    return set(kind.__struct_fields__)


def always_written(kind: type[Struct]) -> set[str]:
    """The fields that are written even when they are empty."""
    every = {field.name for field in msgspec.structs.fields(kind) if field.required}
    return every if kind.__struct_config__.omit_defaults or fields(kind) != every else fields(kind)


def request_of(method: str) -> type[Struct]:
    """Return the struct of a method's request."""
    hint = {field.name: field.type for field in msgspec.structs.fields(Command)}[method]
    kind: type[Struct]
    (kind,) = [each for each in hint.__args__ if each is not type(None)]
    return kind


def test_every_command_is_there_with_all_its_fields() -> None:
    table = rows("Commands")
    assert list(table) == [method for method in table if method in METHODS]
    assert set(table) == set(METHODS)
    for method, (asked, answered) in table.items():
        assert named(asked) == fields(request_of(method)), method
        if method in RESULTS:
            assert named(answered) == fields(RESULTS[method]), method
            assert starred(answered) == always_written(RESULTS[method]), method


def test_every_push_is_there_with_all_its_fields() -> None:
    table = rows("Pushes")
    assert set(table) == set(PUSHES) == {"pub", *(kind.decode() for kind in native._KINDS.values())}
    for kind, (told, _) in table.items():
        assert named(told) == fields(PUSHES[kind]), kind


@pytest.mark.parametrize(
    ("heading", "kind"), [("Error codes", ErrorCode), ("Close codes", Disconnect)], ids=["errors", "closes"]
)
def test_every_code_that_is_sent_is_there_with_its_words(
    heading: str, kind: type[ErrorCode] | type[Disconnect]
) -> None:
    expected = sent(kind) | ({codes.FORCE_DISCONNECT.code: codes.FORCE_DISCONNECT.reason} if kind is Disconnect else {})
    assert {int(code): said for code, (said, _) in rows(heading).items()} == expected


def test_temporary_errors_are_called_so() -> None:
    temporary = {each.code for each in vars(codes).values() if isinstance(each, ErrorCode) and each.temporary}
    assert {int(code) for code, (_, when) in rows("Error codes").items() if when.startswith("temporary")} == temporary


def test_every_unsubscribe_code_is_there_with_its_words() -> None:
    known = {each.code: each.reason for each in vars(codes).values() if isinstance(each, Unsubscribe)}
    assert {int(code): reason for code, (reason, _) in rows("Unsubscribe codes").items()} == known


def test_examples_are_what_our_own_decoder_reads() -> None:
    for example in EXAMPLES:
        for line in example.splitlines():
            check_object(line)


def check_object(line: str) -> None:
    """Check that one object, of either side, has the shape that the code has for it."""
    said = json.loads(line)
    if "push" in said:
        ((kind, body),) = [(key, value) for key, value in said["push"].items() if key != "channel"]
        check_body(body, PUSHES[kind])
    elif "error" in said:
        assert set(said["error"]) <= {"code", "message", "temporary"}
    else:
        (method,) = set(said) - {"id"}
        result = RESULTS.get(method)
        told = set(said[method]) & starred(rows("Commands")[method][1]) or said[method].get("delta") is True
        if result is not None and told:
            check_body(said[method], result)
        else:
            (command,) = native.decode(line.encode())
            assert not isinstance(command, FaultyCommand)


def check_body(body: dict[str, Any], kind: type[Struct]) -> None:
    assert set(body) <= fields(kind)
    msgspec.json.decode(json.dumps(body), type=kind)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The gateway of the page."""
    directory = tmp_path_factory.mktemp("protocol")
    (config,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    (directory / "messageflow.toml").write_text(config)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory) as started:
        yield started


class Replay:
    """What is known of one run of the page: the values its words stand for."""

    def __init__(self, gateway: Running) -> None:
        self._gateway = gateway
        self._known = {"token": Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET).token("alice")}
        self._waiting: list[str] = []

    def exchange(self, text: str) -> None:
        """Replay one connection. Objects that come one after the other may come in another order."""
        self._waiting = []
        with connect(self._gateway.websocket) as websocket:
            for line in text.splitlines():
                mark, _, said = line.partition(" ")
                if mark != "<-":
                    assert self._waiting == []
                if mark == "->":
                    websocket.send(self._filled(said).replace(r"\n", "\n"))
                elif mark == "--":
                    self._call(said)
                elif said.startswith("close "):
                    self._closed(websocket, said)
                else:
                    self._expect(websocket, said)

    def _filled(self, said: str) -> str:
        return PLACE.sub(lambda place: self._known[place[1]], said)

    def _call(self, said: str) -> None:
        method, _, body = said.partition(" ")
        request = urllib.request.Request(
            f"{self._gateway.url}/api/{method}", self._filled(body).encode(), {"X-API-Key": API_KEY}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            assert "result" in json.load(response), said

    def _expect(self, websocket: ClientConnection, said: str) -> None:
        """Return once the gateway has said this, and keep what it said before that."""
        until = time.monotonic() + SECONDS
        while not any(self._take(said, got) for got in self._waiting):
            try:
                self._waiting += self._frame(websocket, until - time.monotonic())
            except TimeoutError:
                pytest.fail(f"the page has\n{said}\nand the gateway said\n{self._waiting}")

    def _frame(self, websocket: ClientConnection, seconds: float) -> list[str]:
        frame = websocket.recv(seconds)
        assert isinstance(frame, str)
        if frame != "{}":
            return frame.split("\n")
        websocket.send("{}")
        return []

    def _take(self, said: str, got: str) -> bool:
        """Take what the gateway said if the page has it: keep its values. Returns whether it has."""
        new = set[str]()
        pattern = "".join(
            self._pattern(part, new) if number % 2 else re.escape(part) for number, part in enumerate(PLACE.split(said))
        )
        found = re.fullmatch(pattern, got)
        if found is None:
            return False
        check_object(got)
        self._waiting.remove(got)
        self._known |= {name.replace("_", " "): value for name, value in found.groupdict().items()}
        return True

    def _pattern(self, place: str, new: set[str]) -> str:
        """Return what a place of the page matches; the first time it does, its value is kept under a name."""
        if place in ANYTHING:
            return ".*"
        if place in self._known:
            return re.escape(self._known[place])
        name = place.replace(" ", "_")
        if name in new:
            return f"(?P={name})"
        new.add(name)
        return f'(?P<{name}>[^",]+)'

    def _closed(self, websocket: ClientConnection, said: str) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            self._frame(websocket, SECONDS)
        assert closed.value.rcvd is not None
        assert f"close {closed.value.rcvd.code} {closed.value.rcvd.reason}" == said


def test_every_exchange_is_what_a_gateway_says(gateway: Running) -> None:
    replay = Replay(gateway)
    assert len(EXCHANGES) == 9
    for exchange in EXCHANGES:
        replay.exchange(exchange)


def test_the_page_has_the_numbers_of_what_is_ours() -> None:
    told = {
        (message, name): int(number)
        for messages, [ours] in rows("Protobuf").items()
        for message in re.findall(r"\w+", messages)
        for name, number in re.findall(r"(\w+) = (\d+)", ours)
    }
    moved = {name: number for (message, name), number in told.items() if message == "Push" and number < 1000}
    told = {key: number for key, number in told.items() if number >= 1000}
    called = {"PublicationView": "Publication", "Subscribed": "Subscribe"}
    tables = {
        called.get(kind.__name__, kind.__name__): numbers for kind, numbers in (*REQUESTS.items(), *ANSWERS.items())
    }
    tables |= {"Reply": REPLY, "Push": PUSH}
    assert told == {
        (message, name): number
        for message, numbers in tables.items()
        for name, number in numbers.items()
        if number >= 1000
    }
    assert moved == ANSWERS[protocol.Moved]
