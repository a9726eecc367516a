"""The script tag: everything in attributes, everything escaped."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from messageflow.integrations.script_tag import render_script_tag
from messageflow.publisher.results import PagePosition

POSITION = PagePosition(epoch="e", offset=7, tag="t")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_where_the_token_and_the_position_are() -> None:
    tag = render_script_tag("/messageflow.js", "/socket_auth_token", {"#alice": POSITION}, "n0nce")
    ((name, told),) = Tags(tag).tags
    assert name == "script"
    assert json.loads(told.pop("data-since") or "") == {"#alice": dict(POSITION)}
    assert told == {"src": "/messageflow.js", "data-token-url": "/socket_auth_token", "nonce": "n0nce"}


def test_what_is_not_there_is_left_out() -> None:
    assert render_script_tag("/messageflow.js") == '<script src="/messageflow.js"></script>'


def test_nothing_gets_out_of_its_attribute() -> None:
    evil = "\"'><script>alert(1)</script>&quot;"
    read = Tags(render_script_tag(evil, evil, {f"#{evil}": POSITION}, evil))
    ((_, told),) = read.tags
    assert (told["src"], told["data-token-url"], told["nonce"]) == (evil, evil, evil)
    assert json.loads(told["data-since"] or "").keys() == {f"#{evil}"}
    assert read.text == ""
