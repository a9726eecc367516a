"""What is HTML and what is not, and the words for where it goes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from messageflow.core.html_push import SWAPS, HtmlPush, find_html, find_type, read_swap
from messageflow.core.protocol import view
from messageflow.core.stream import Publication

DATA = b'{"type":"html","payload":{"html":"<b>","target":"#a","swap":"append"}}'
PUSHED = Publication(1, "t", 0.0, DATA, tags=b'{"messageflow":"html"}')


def test_what_a_backend_pushed_as_html_is_html_live_and_from_history() -> None:
    assert find_html(PUSHED) == find_html(view(PUSHED)) == HtmlPush("<b>", "#a", "append")
    assert find_html(replace(PUSHED, tags=b'{"mine":"x","messageflow":"html"}')) is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"tags": b""}, id="the same data without the tag, which anybody may write"),
        pytest.param({"info": b'{"user":"bob","client":"c"}'}, id="said by a client"),
        pytest.param({"tags": b'{"messageflow":"text"}'}, id="another tag"),
        pytest.param({"tags": b"[]"}, id="no tags"),
        pytest.param({"data": b'"<b>"'}, id="no action"),
        pytest.param({"data": b'{"payload":{"html":"<b>","target":""}}'}, id="no target"),
        pytest.param({"data": b'{"payload":{"html":"<b>","target":"a\\nb"}}'}, id="a target of two lines"),
        pytest.param({"data": b'{"payload":{"html":"<b>","target":"a","swap":"beforeend"}}'}, id="another swap"),
    ],
)
def test_nothing_else_is(other: dict[str, bytes]) -> None:
    publication = replace(PUSHED, **other)
    assert find_html(publication) is find_html(view(publication)) is None


def test_a_swap_has_one_word_or_the_one_that_others_use() -> None:
    assert [read_swap(word) for word in (*SWAPS, "replace", "delete")] == [*SWAPS, "outer", "remove"]
    known = "write inner, outer, append, prepend, before, after, remove"
    for word in ("beforeend", "Inner", "", None, ["inner"]):
        with pytest.raises(ValueError, match=known):
            read_swap(word)


@pytest.mark.parametrize(("data", "kind"), [(DATA, "html"), (b"[1]", ""), (b'{"type":1}', ""), (b'{"a":1}', "")])
def test_an_action_has_a_type(data: bytes, kind: str) -> None:
    assert find_type(data) == kind
