"""HTML over real streams: stored once and read by each as it asks, from where its page was made, and nothing forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from messageflow import Flow, Html
from messageflow.core.event_ids import write_start
from messageflow.core.stream import Position
from tests.gateway.test_http_streams import EVENTS, LINES, refusal
from tests.stream_reader import Stream
from tests.support import API_KEY, TOKEN_SECRET, Running, running

SETTINGS = '[[channel.namespaces]]\nname = "open"\nallow_publish_for_client = true\nallow_subscribe_for_client = true\n'
SWAPPED = '<div hx-swap-oob="beforeend:#jobs"><li>{}</li></div>'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory: Path = tmp_path_factory.mktemp("html")
    (directory / "messageflow.toml").write_text(SETTINGS)
    with running(["serve", "--config", str(directory / "messageflow.toml")], directory / "data") as started:
        yield started


@pytest.fixture
def flow(gateway: Running) -> Iterator[Flow]:
    with Flow(gateway.url, api_key=API_KEY, token_secret=TOKEN_SECRET) as flow:
        yield flow


def read_event(stream: Stream, *unless: str) -> tuple[str, str]:
    """Return name and data of the next event that is not the gateway's own."""
    while True:
        name, data = "", ""
        while line := stream._answer.readline().decode().rstrip("\n"):
            field, _, value = line.partition(": ")
            name = value if field == "event" else name
            data = value if field == "data" else data
        if data and name != "connect" and not name.startswith("messageflow:"):
            return name, data


def test_it_is_stored_once_and_each_reader_has_it_in_their_own_way(gateway: Running, flow: Flow) -> None:
    start = write_start({name: Position(**each) for name, each in flow.position("ann", channels=["open:a"]).items()})
    flow.html("ann", "<li>1</li>", target="#jobs", swap="append")  # before anybody listens, after their pages were made
    with flow.batch() as batch:
        batch.html("ann", "<li>2</li>", target="#jobs", swap="append")
        batch.publish("open:a", Html("<li>3</li>", "#jobs", "append"))
    read = {}
    for name in ("htmx2", "turbo", ""):
        asked = f"&as={name}" if name else ""
        ticket = flow.ticket("ann", channels=["open:a"])
        with Stream(gateway, f"{EVENTS}?ticket={ticket}&last_event_id={start}{asked}") as stream:
            read[name] = sorted(read_event(stream) for _ in range(3))
    assert read["htmx2"] == [("html", SWAPPED.format(n)) for n in (1, 2, 3)]
    assert read["turbo"][0] == (
        "", '<turbo-stream action="append" targets="#jobs"><template><li>1</li></template></turbo-stream>',
    )  # fmt: skip
    assert read[""][0] == ("", '{"type":"html","payload":{"html":"<li>1</li>","target":"#jobs","swap":"append"}}')


def test_what_a_client_publishes_never_is_html(gateway: Running, flow: Flow) -> None:
    payload = '{"html":"<b>","target":"#jobs","swap":"append"}'
    with Stream(gateway, f"{EVENTS}?as=htmx4&ticket={flow.ticket('bob', channels=['open:b'])}") as stream:
        assert stream.status == 200
        say(gateway, flow.token("eve"), "open:b", f'{{"type":"html","payload":{payload}}}', '{"messageflow":"html"}')
        flow.publish("open:b", Html("<i>", "#jobs"))
        assert read_event(stream)[0] == "push:html"
        assert read_event(stream) == ("", '<hx-partial hx-target="#jobs" hx-swap="innerHTML"><i></hx-partial>')


def say(gateway: Running, token: str, channel: str, data: str, tags: str) -> None:
    """Publish as a client that claims tags for what it says."""
    from websockets.sync.client import connect

    with connect(gateway.websocket) as socket:
        socket.send(f'{{"id":1,"connect":{{"token":"{token}"}}}}')
        socket.recv()
        socket.send(f'{{"id":2,"subscribe":{{"channel":"{channel}"}}}}')
        socket.send(f'{{"id":3,"publish":{{"channel":"{channel}","data":{data},"tags":{tags}}}}}')
        while '"id":3' not in (answer := str(socket.recv())):
            pass
        assert '{"id":3,"publish":{}}' in answer


def test_a_browser_says_where_it_is_and_its_address_where_its_page_began(gateway: Running, flow: Flow) -> None:
    start = write_start({name: Position(**each) for name, each in flow.position("cid").items()})
    target = f"{EVENTS}?as=htmx2&ticket={flow.ticket('cid')}&last_event_id={start}"
    flow.html("cid", "<li>1</li>", target="#jobs", swap="append")
    with Stream(gateway, target) as stream:
        for line in iter(stream._answer.readline, b""):
            if line.startswith(b"id: ") and b":1:" in line:
                last = line.decode()[4:].rstrip("\n")
                break
    flow.html("cid", "<li>2</li>", target="#jobs", swap="append")
    with Stream(gateway, target, {"Last-Event-ID": last}) as again:
        assert read_event(again) == ("html", SWAPPED.format(2))


def test_a_page_whose_time_is_over_fetches_itself_anew_also_where_it_comes_back_late(
    gateway: Running, flow: Flow
) -> None:
    ticket = flow.ticket("eli", lifetime=2.0)
    with Stream(gateway, f"{EVENTS}?as=turbo&ticket={ticket}") as stream:
        said = stream.read()  # to its end
    refresh = '<turbo-stream action="refresh"></turbo-stream>'
    assert said.endswith(f"data: {refresh}\n\n")
    last = said.rpartition("id: ")[2].partition("\n")[0]
    with Stream(gateway, f"{EVENTS}?as=turbo&ticket={ticket}", {"Last-Event-ID": last}) as late:
        assert late.status == 200
        assert late.read().split("\n\n")[1:] == [f"data: {refresh}", ""]
    for forged in ({}, {"Last-Event-ID": "0" * 24 + last[24:]}):  # what has not had the stream
        assert refusal(gateway, f"{EVENTS}?as=turbo&ticket={ticket}", forged)[0] == 401
    assert refusal(gateway, f"{EVENTS}?ticket={ticket}", {"Last-Event-ID": last})[0] == 401  # a page of another kind


@pytest.mark.parametrize(("path", "known"), [(EVENTS, "htmx2, htmx4, turbo, datastar"), (LINES, "leave it out")])
def test_another_library_is_refused_with_those_that_are_known(
    gateway: Running, flow: Flow, path: str, known: str
) -> None:
    status, body = refusal(gateway, f"{path}?as=htmx&ticket={flow.ticket('dan')}")
    assert status == 400
    assert "as=htmx is nothing that is sent here" in body
    assert known in body
    assert refusal(gateway, f"{EVENTS}?as=turbo&ticket=none")[0] == 401
