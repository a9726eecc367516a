"""Which handlers a question goes to, and what their answers come to: by values, whoever makes the calls."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec
import pytest

from messageflow.errors import Refuse
from messageflow.handlers import decisions
from messageflow.handlers.decisions import HandlerCall
from messageflow.handlers.event import Event
from messageflow.handlers.registry import Handler, Handlers, Kind


def table(*entries: tuple[Kind, str, Callable[[Event], Any]]) -> Handlers:
    handlers = Handlers()
    for kind, key, function in entries:
        handlers.add(Handler(kind, key, function, msgspec.json.encode))
    return handlers


def carry_out(steps: Generator[HandlerCall, Any, Any]) -> Any:
    """Make the calls there and then."""
    step: Callable[[Any], HandlerCall] = steps.send
    result: Any = None
    while True:
        try:
            handler, event = step(result)
        except StopIteration as done:
            return done.value
        try:
            step, result = steps.send, handler.function(event)
        except Exception as error:
            step, result = steps.throw, error


def refuse(event: Event) -> None:
    raise Refuse(1001, "no advertising")


CONNECT = Event(name="connect")


def publish(data: Any) -> Event:
    return Event(name="publish", channel="chat:a", data=data)


def test_what_a_page_sends_goes_to_the_handler_of_its_name() -> None:
    taken: list[Event] = []
    handlers = table(("event", "city", taken.append), ("event", "town", refuse))
    assert carry_out(decisions.take(handlers, Event(name="city", data="Rome"))) is None
    assert [event.data for event in taken] == ["Rome"]
    with pytest.raises(Refuse, match="1001"):
        carry_out(decisions.take(handlers, Event(name="town")))
    with pytest.raises(Refuse, match="104: method not found"):
        carry_out(decisions.take(handlers, Event(name="City")))


def test_what_a_handler_returns_is_the_result_of_a_call() -> None:
    handlers = table(("rpc", "double", lambda event: event.data * 2), ("rpc", "nothing", lambda event: None))
    assert carry_out(decisions.answer(handlers, Event(name="double", data=4))) == b"8"
    assert carry_out(decisions.answer(handlers, Event(name="nothing"))) == b"null"
    with pytest.raises(Refuse, match="104: method not found"):
        carry_out(decisions.answer(handlers, Event(name="other")))


def test_all_that_is_said_of_a_connection_counts() -> None:
    handlers = table(
        ("connect", "*", lambda event: {"user": "bob", "channels": ["a"], "info": {"n": 1}}),
        ("connect", "*", lambda event: None),
        ("connect", "*", lambda event: {"channels": ("b",), "data": [1], "info": {"n": 2}, "expires_at": None}),
    )
    said = carry_out(decisions.welcome(handlers, CONNECT))
    assert said == {"user": "bob", "channels": ("a", "b"), "info": b'{"n":2}', "data": b"[1]"}


def test_the_rights_that_handlers_give_add_up() -> None:
    handlers = table(
        ("connect", "*", lambda event: {"allow": ["news:*"]}),
        ("connect", "*", lambda event: {"allow": ("org-7:*=history",), "user": "bob"}),
    )
    expected = {"user": "bob", "channels": (), "allow": ("news:*", "org-7:*=history")}
    assert carry_out(decisions.welcome(handlers, CONNECT)) == expected
    with pytest.raises(TypeError, match="the allow of a connect handler are a list"):
        carry_out(decisions.welcome(table(("connect", "*", lambda event: {"allow": "news:*"})), CONNECT))


def test_one_no_is_enough_for_a_connection() -> None:
    asked: list[Event] = []
    handlers = table(("connect", "*", lambda event: False), ("connect", "*", asked.append))
    with pytest.raises(Refuse, match="103"):
        carry_out(decisions.welcome(handlers, CONNECT))
    assert not asked


@pytest.mark.parametrize("said", [{"usr": "bob"}, "bob", 1])
def test_what_means_nothing_is_said(said: object) -> None:
    with pytest.raises(TypeError, match="user, info, data, channels, expires_at; not"):
        carry_out(decisions.welcome(table(("connect", "*", lambda event: said)), CONNECT))


def test_one_text_is_no_list_of_channels() -> None:
    with pytest.raises(TypeError, match="a list of names"):
        carry_out(decisions.welcome(table(("connect", "*", lambda event: {"channels": "news"})), CONNECT))


@pytest.mark.parametrize("said", [float("nan"), float("inf"), "tomorrow", True])
def test_an_end_is_a_time(said: object) -> None:
    with pytest.raises(TypeError, match="in seconds since 1970"):
        carry_out(decisions.welcome(table(("connect", "*", lambda event: {"expires_at": said})), CONNECT))


@pytest.mark.parametrize(
    ("said", "expected"),
    [((None, True), True), ((None, False), False), ((False, True), False), ((None, None), None), ((), None)],
)
def test_the_first_word_on_a_right_decides(said: tuple[bool | None, ...], expected: bool | None) -> None:
    entries: list[tuple[Kind, str, Callable[[Event], Any]]] = [
        ("authorize", "news:*", lambda event, word=word: word)  # type: ignore[misc]
        for word in said
    ]
    handlers = table(("authorize", "chat:*", refuse), *entries)
    assert carry_out(decisions.permit(handlers, Event(name="authorize", channel="news:eu"))) is expected


def test_a_word_on_a_right_is_yes_or_no() -> None:
    with pytest.raises(TypeError, match="True, False or None, not list"):
        carry_out(decisions.permit(table(("authorize", "*", lambda event: [])), Event(name="authorize", channel="a")))


def test_each_sees_what_the_one_before_made_of_a_publication() -> None:
    handlers = table(
        ("publish", "chat:*", lambda event: {"text": event.data["text"].upper()}),
        ("publish", "news:*", refuse),
        ("publish", "chat:a", lambda event: {**event.data, "seen": True}),
        ("publish", "*", lambda event: True),
    )
    assert carry_out(decisions.edit(handlers, publish({"text": "hi"}))) == b'{"text":"HI","seen":true}'
    assert carry_out(decisions.edit(table(("publish", "*", lambda event: None)), publish(1))) is None
    for refusing in (lambda event: False, refuse):
        with pytest.raises(Refuse):
            carry_out(decisions.edit(table(("publish", "*", refusing)), publish(1)))


def test_all_are_told_whatever_one_of_them_raises() -> None:
    told: list[str] = []

    def fail(event: Event) -> None:
        raise ValueError("a bug")

    handlers = table(
        ("disconnect", "*", fail),
        ("disconnect", "*", lambda event: told.append(event.reason)),
        ("disconnect", "*", fail),
    )
    with pytest.raises(ValueError, match="a bug"):
        carry_out(decisions.tell("disconnect", handlers, Event(name="disconnect", reason="slow")))
    assert told == ["slow"]
