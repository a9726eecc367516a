"""HTML as applications write it: which text, which targets, which words; and that nothing but `Html` becomes it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from markupsafe import Markup

from messageflow import Html
from messageflow.publisher import requests

TAG = {"messageflow": "html"}


class Row:
    """As elements of htpy and FastHTML are."""

    def __html__(self) -> str:
        return "<tr></tr>"


def said(call: Any) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(call.body)
    return body


def test_it_is_pushed_broadcast_and_published_as_an_action_with_its_tag() -> None:
    payload = {"html": "<li>", "target": "#jobs", "swap": "append"}
    pushed = said(requests.html("alice", "<li>", target="#jobs", swap="append", idempotency_key="k", exclude="c"))
    assert pushed == {
        "user": "alice", "type": "html", "payload": payload, "idempotency_key": "k", "exclude": "c", "tags": TAG,
    }  # fmt: skip
    message = Html("<li>", "#jobs", "append")
    assert said(requests.push("alice", message)) | {"idempotency_key": "k", "exclude": "c"} == pushed
    broadcast = said(requests.broadcast(message))
    assert (broadcast["type"], broadcast["payload"], broadcast["tags"]) == ("html", payload, TAG)
    published = said(requests.publish("news", message, tags={"about": "jobs"}))
    assert published["data"] == {"type": "html", "payload": payload}
    assert published["tags"] == {"about": "jobs", **TAG}
    assert said(requests.publish("news", message))["tags"] == TAG


def test_nothing_else_has_the_tag() -> None:
    payload = {"html": "<li>", "target": "#jobs", "swap": "append"}
    assert "tags" not in said(requests.push("alice", "html", payload))
    assert "tags" not in said(requests.publish("news", {"type": "html", "payload": payload}))


@pytest.mark.parametrize("html", [Markup("<tr></tr>"), Row()])
def test_elements_and_text_that_is_marked_as_safe_are_text(html: Any) -> None:
    assert type(Html(html, "#rows").html) is str
    assert Html(html, "#rows").html == "<tr></tr>"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((b"<li>", "#a"), TypeError, "html must be text, or something with __html__, not bytes"),
        ((None, "#a"), TypeError, "html must be text"),
        ((Row, "#a"), TypeError, "html must be text"),
        (("<li>", None), TypeError, "target must be a CSS selector such as '#jobs', not NoneType"),
        (("<li>", " "), ValueError, "target is a CSS selector"),
        (("<li>", "#a", "beforeend"), ValueError, "swap='beforeend' is not known: write inner, outer"),
        (("<li>", "#a", "delete"), ValueError, "swap='remove' puts nothing there"),
        (("text", "#a", "outer"), ValueError, "swap='outer' puts an element in the place of another"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Html(*arguments)


def test_a_target_is_of_one_line_and_nothing_in_the_place_of_an_element_removes_it() -> None:
    assert Html("", " #jobs\n  > li ", "replace") == Html("", "#jobs > li", "remove")
