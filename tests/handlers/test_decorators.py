"""`flow.on` and the others: what they take, what they say of misuse, and what is found of them."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from messageflow import AsyncFlow, ConfigurationError, Event, Flow
from messageflow.handlers.registry import Kind, ProcessHandlers

FLOWS = [Flow, AsyncFlow]


def handle(event: Event) -> None:
    """A handler."""


def handle_otherwise(event: Event) -> None:
    """Another one."""


@pytest.mark.parametrize("make", FLOWS)
def test_each_decorator_returns_the_function_and_enters_it(
    make: type[Flow] | type[AsyncFlow], every: ProcessHandlers
) -> None:
    flow = make()
    decorated: list[tuple[Kind, Callable[[Event], None]]] = [
        ("event", flow.on("city")(handle)),
        ("rpc", flow.rpc("search")(handle)),
        ("connect", flow.on_connect(handle)),
        ("disconnect", flow.on_disconnect(handle)),
        ("authorize", flow.authorize("news:*")(handle)),
        ("publish", flow.on_publish("chat:*")(handle)),
        ("occupied", flow.on_occupied(handle)),
        ("occupied", flow.on_occupied("news:*")(handle)),
        ("vacated", flow.on_vacated(handle)),
        ("vacated", flow.on_vacated("news:*")(handle)),
    ]
    assert all(function is handle for _, function in decorated)
    for table in (flow.handlers, every):
        assert table.kinds == {kind for kind, _ in decorated}
        assert len(table.select("occupied", "news:eu")) == 2
        assert len(table.select("occupied", "other")) == 1
        found = table.find("event", "city")
        assert found is not None
        assert found.place == f"{__name__}.handle"


def test_flows_do_not_see_one_anothers_handlers_and_the_process_sees_all(every: ProcessHandlers) -> None:
    one, other = Flow(), AsyncFlow()
    one.on("city")(handle)
    other.on("town")(handle)
    assert one.handlers.find("event", "town") is None
    assert every.find("event", "town") is not None
    del one, other
    gc.collect()
    assert every.find("event", "city") is not None, "an application need not keep its flow"


def yield_once(event: Event) -> Iterator[None]:
    yield


async def yield_later(event: Event) -> AsyncIterator[None]:
    yield


MISUSES: list[tuple[Callable[[Flow], Any], type[Exception], str]] = [
    (lambda flow: flow.on(handle), TypeError, '@flow.on("city")'),  # type: ignore[arg-type]
    (lambda flow: flow.rpc(handle), TypeError, '@flow.rpc("city")'),  # type: ignore[arg-type]
    (lambda flow: flow.on(""), ValueError, "not an empty text"),
    (lambda flow: flow.authorize(handle), TypeError, '@flow.authorize("news:*")'),  # type: ignore[arg-type]
    (lambda flow: flow.authorize("*:news"), ValueError, "only at the end"),
    (lambda flow: flow.on_publish("a b"), ValueError, "without blanks"),
    (lambda flow: flow.on_connect("news:*"), TypeError, "stands above a function, not a str"),  # type: ignore[type-var]
    (lambda flow: flow.on("city")(lambda: None), TypeError, "takes one argument, the event"),  # type: ignore[type-var]
    (lambda flow: flow.on("city")(lambda event, more: None), TypeError, "one argument"),  # type: ignore[type-var]
    (lambda flow: flow.on("city")(yield_once), TypeError, "a handler returns"),
    (lambda flow: flow.on_connect(yield_later), TypeError, "a handler returns"),
]


@pytest.mark.parametrize(("misuse", "error", "text"), MISUSES)
def test_misuse_is_said_where_it_is_written(misuse: Callable[[Flow], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        misuse(Flow())
    assert text in str(caught.value)


def test_a_name_has_one_handler() -> None:
    flow = Flow()
    flow.on("city")(handle)
    flow.rpc("city")(handle_otherwise)
    flow.on("city")(handle)
    with pytest.raises(ConfigurationError, match=r"handle and .*handle_otherwise are @flow.on\('city'\)"):
        flow.on("city")(handle_otherwise)


def make_application() -> list[str]:
    """An application as factories make them."""
    flow, told = Flow(), list[str]()

    @flow.on("city")
    def city(event: Event) -> None:
        told.append("city")

    @flow.on_disconnect
    def gone(event: Event) -> None:
        told.append("gone")

    return told


def test_an_application_that_is_made_twice_has_its_handlers_once(every: ProcessHandlers) -> None:
    first, second = make_application(), make_application()
    for handler in (every.find("event", "city"), *every.select("disconnect")):
        assert handler is not None
        handler.function(Event(name="x"))
    assert (first, second) == ([], ["city", "gone"])


def test_two_of_one_making_in_one_flow_are_two(every: ProcessHandlers) -> None:
    flow = Flow()

    def make(number: int) -> Callable[[Event], int]:
        return lambda event: number

    flow.on_connect(make(1))
    flow.on_connect(make(2))
    assert [handler.function(None) for handler in every.select("connect")] == [1, 2]


def test_two_flows_with_one_name_are_refused_by_a_gateway_that_serves_both(every: ProcessHandlers) -> None:
    one, other = Flow("http://one"), Flow("http://other")
    one.on("city")(handle)
    other.on("city")(handle_otherwise)
    for flow in (one, other):
        flow.handlers.serve(lambda kind: None)
    with pytest.raises(ConfigurationError, match="a name has one handler"):
        every.serve(lambda kind: None)


def test_a_gateway_hears_of_what_comes_later(every: ProcessHandlers) -> None:
    heard: list[Kind] = []
    every.serve(heard.append)
    flow = Flow()
    flow.on("city")(handle)
    assert heard == ["event"]
    with pytest.raises(ConfigurationError, match="a name has one handler"):
        Flow().on("city")(handle_otherwise)


def test_the_repr_of_an_event_shows_no_secret() -> None:
    event = Event(name="login", data={"password": "hunter2"}, user="alice", headers={"cookie": "session=abc"})
    assert repr(event) == "Event('login', user='alice')"
