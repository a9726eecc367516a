"""What pages hear that are changed by a library: HTML in its own events, all else under names no client begins."""

from __future__ import annotations

import pytest
from msgspec import Raw

from messageflow.core.codes import CONNECTION_EXPIRED, FORCE_DISCONNECT, SHUTDOWN, UNAUTHORIZED
from messageflow.core.event_ids import EventIds
from messageflow.core.protocol import ConnectResult, PublicationView, Subscribed, SubscribeResult, Unsubscribed
from messageflow.core.stream import Publication
from messageflow.dialects.html_stream import HTML_STREAMS

TAGS = b'{"messageflow":"html"}'
DATA = b'{"type":"html","payload":{"html":"<li>\\n</li>","target":"#jobs","swap":"append"}}'
PUSHED = Publication(7, "ab", 0.0, DATA, tags=TAGS)
PATCH = {
    "htmx2": b'event: html\ndata: <div hx-swap-oob="beforeend:#jobs"><li>\ndata: </li></div>',
    "htmx4": b'data: <hx-partial hx-target="#jobs" hx-swap="beforeend"><li>\ndata: </li></hx-partial>',
    "turbo": (
        b'data: <turbo-stream action="append" targets="#jobs"><template><li>\ndata: </li></template></turbo-stream>'
    ),
    "datastar": (
        b"event: datastar-patch-elements\ndata: selector #jobs\ndata: mode append\n"
        b"data: elements <li>\ndata: elements </li>"
    ),
}
REFRESH = {
    "htmx2": b"event: messageflow:reset\ndata: {}\n\n",
    "htmx4": b"event: messageflow:reset\ndata: {}\n\n",
    "turbo": b'data: <turbo-stream action="refresh"></turbo-stream>\n\n',
    "datastar": (
        b"event: datastar-patch-elements\ndata: selector body\ndata: mode append\n"
        b'data: elements <div data-init="window.location.reload()"></div>\n\n'
    ),
}
CLOSE = {
    "htmx2": b"event: messageflow:close\ndata: {}\n\n",
    "htmx4": b"event: messageflow:close\ndata: {}\n\n",
    "turbo": (
        b'data: <turbo-stream action="remove" targets="turbo-stream-source[data-messageflow]"></turbo-stream>\n\n'
    ),
    "datastar": b"event: datastar-patch-elements\ndata: selector [data-messageflow]\ndata: mode remove\n\n",
}
NAMES = list(HTML_STREAMS)


@pytest.mark.parametrize("name", NAMES)
def test_html_is_one_event_of_the_library_live_and_from_history(name: str) -> None:
    stream = HTML_STREAMS[name]
    assert stream.name == name
    assert stream.encoder.publication("#alice", PUSHED) == PATCH[name] + b"\nid: 0FCEioDN:7:ab\n\n"
    missed = [PublicationView(Raw(DATA), offset=7, tag="ab", tags=Raw(TAGS))]
    result = ConnectResult("c", "0", subs={"#alice": SubscribeResult(publications=missed)})
    begun = stream.encoder.result(1, "connect", result)
    assert begun.startswith(b'event: messageflow:connect\ndata: {"client":"c"')
    assert begun.endswith(b"\n\n" + PATCH[name] + b"\nid: 0FCEioDN:7:ab\n\n")


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_completed_as_those_of_any_stream(name: str) -> None:
    stream, ids = HTML_STREAMS[name], EventIds(b"p")
    ids.complete(stream.encoder.push("#alice", Subscribed(epoch="e", offset=5, tag="t5")))
    completed = ids.complete(stream.encoder.publication("#alice", PUSHED))
    assert completed == PATCH[name] + b"\nid: p,0FCEioDN:e:7:ab\n\n"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "event"),
    [
        (DATA, b"push:html"),
        (b'{"type":"message","payload":"<b>"}', b"push:message"),
        (b'{"type":"datastar-patch-elements","payload":1}', b"push:datastar-patch-elements"),
        (b'{"type":"a\\nevent: html"}', b"publication"),
        (b'{"type":"a\\u2028b"}', b"publication"),
        (b'"<b>"', b"publication"),
    ],
)
def test_what_is_no_html_is_never_taken_for_it(name: str, data: bytes, event: bytes) -> None:
    said = HTML_STREAMS[name].encoder.publication("a", Publication(0, "", 0.0, data, info=b"{}", tags=TAGS))
    assert said == b"event: " + event + b"\ndata: " + data + b"\n\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_that_missed_something_or_whose_time_is_over_refreshes_itself(name: str) -> None:
    stream = HTML_STREAMS[name]
    missed = ConnectResult("c", "0", subs={"a": SubscribeResult(was_recovering=True)})
    assert stream.encoder.result(1, "connect", missed).endswith(b"\n\n" + REFRESH[name])
    said = b'event: messageflow:disconnect\ndata: {"code":%d,"reason":"%b"}\n\n'
    assert stream.disconnect(CONNECTION_EXPIRED) == said % (3005, b"connection expired") + REFRESH[name]
    assert stream.disconnect(FORCE_DISCONNECT) == said % (3503, b"force disconnect") + CLOSE[name]
    assert stream.disconnect(SHUTDOWN) == said % (3001, b"shutdown")


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_is_said_under_names_of_ours(name: str) -> None:
    stream = HTML_STREAMS[name]
    assert stream.encoder.push("a", Unsubscribed(2000, "x")).startswith(b"event: messageflow:unsubscribe\n")
    assert stream.read_error(stream.encoder.error(1, UNAUTHORIZED)) == UNAUTHORIZED
