"""What each library is told, by values: the words, what is escaped, and the element of a page."""

from __future__ import annotations

from html import unescape

import pytest

from messageflow.core.html_push import SWAPS, HtmlPush
from messageflow.dialects.html.renderings import RENDERINGS, find_rendering

TARGET = """p[title='a"b<&']"""
WORDS = {
    "htmx2": ["innerHTML", "outerHTML", "beforeend", "afterbegin", "beforebegin", "afterend", "delete"],
    "htmx4": ["innerHTML", "outerHTML", "beforeend", "afterbegin", "beforebegin", "afterend", "delete"],
    "turbo": ["update", "replace", "append", "prepend", "before", "after", "remove"],
    "datastar": ["inner", "outer", "append", "prepend", "before", "after", "remove"],
}


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_swap_has_a_word_and_a_target_stays_within_its_quotes(name: str) -> None:
    for swap, word in zip(SWAPS, WORDS[name], strict=True):
        said = RENDERINGS[name].patch(HtmlPush("" if swap == "remove" else "<b>x</b>", TARGET, swap)).data
        assert word in said
        assert TARGET in unescape(said)
        if name != "datastar":
            assert TARGET not in said


@pytest.mark.parametrize(
    ("html", "swap", "said"),
    [
        ("<tr><td></td></tr>", "append", '<tbody hx-swap-oob="beforeend:#a"><tr><td></td></tr></tbody>'),
        (" <!-- <p> --> <TD>", "after", '<tr hx-swap-oob="afterend:#a"> <!-- <p> --> <TD></tr>'),
        ("<tbody>", "before", '<table hx-swap-oob="beforebegin:#a"><tbody></table>'),
        ("<col>", "append", '<colgroup hx-swap-oob="beforeend:#a"><col></colgroup>'),
        ("text", "inner", '<div hx-swap-oob="innerHTML:#a">text</div>'),
        ("", "remove", '<div hx-swap-oob="delete:#a"></div>'),
        ("<tr id='b'/>", "outer", """<tr hx-swap-oob="outerHTML:#a" id='b'/>"""),
        ("\n<my-row>x", "outer", '\n<my-row hx-swap-oob="outerHTML:#a">x'),
        ("text", "outer", '<span hx-swap-oob="outerHTML:#a">text</span>'),
        ("<!--a--><!--b--> <tr>", "outer", '<!--a--><!--b--> <tr hx-swap-oob="outerHTML:#a">'),
        ("<!-- x -->" * 400, "inner", '<div hx-swap-oob="innerHTML:#a">' + "<!-- x -->" * 400 + "</div>"),
    ],
)
def test_htmx_2_has_the_html_within_what_may_hold_it(html: str, swap: str, said: str) -> None:
    event = find_rendering("htmx2").patch(HtmlPush(html, "#a", swap))
    assert event == ("html", said)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_datastar_has_a_word_before_each_line(end: str) -> None:
    said = find_rendering("datastar").patch(HtmlPush(f"<p>{end}mode remove{end}</p>", "#a"))
    assert said.data == "selector #a\nmode inner\nelements <p>\nelements mode remove\nelements </p>"


@pytest.mark.parametrize("name", RENDERINGS)
def test_an_address_stays_within_the_element(name: str) -> None:
    url = "/connection/uni_sse?as=x&ticket=\"'<>\\"
    element = find_rendering(name).element(url)
    told = url.replace("\\", "\\\\").replace("'", "\\'") if name == "datastar" else url
    assert told in unescape(element)
    assert url not in element
    assert "data-messageflow" in element


def test_another_library_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'htmx' is no library .* one of htmx2, htmx4, turbo, datastar"):
        find_rendering("htmx")
