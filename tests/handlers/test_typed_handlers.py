"""Handlers of typed messages: what they are given, and what a page is told whose data is not as the class says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from messageflow import AsyncFlow, Event, Flow, Message, Refuse, message
from messageflow.handlers.registry import Kind, ProcessHandlers
from messageflow.handlers.typed_handlers import find_taken


class CitySubmitted(Message):
    name: str
    inhabitants: int = 0


@message("city/search")
class SearchCities(Message):
    begins: str = ""


def call(every: ProcessHandlers, kind: Kind, name: str, data: Any) -> Any:
    handler = every.find(kind, name)
    assert handler is not None
    result = handler.function(Event(name=name, data=data, user="alice"))
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.fixture
def said(every: ProcessHandlers) -> list[Any]:
    flow, async_flow, said = Flow(), AsyncFlow(), list[Any]()

    @flow.on(CitySubmitted)
    def add_city(event: Event[CitySubmitted]) -> None:
        said.append((event.user, event.data))

    @async_flow.rpc(SearchCities)
    async def search(event: Event[SearchCities]) -> str:
        said.append(event.data)
        return event.data.begins

    return said


def test_the_function_is_given_an_object_of_the_class(every: ProcessHandlers, said: list[Any]) -> None:
    call(every, "event", "city/submitted", {"name": "Rome"})
    assert call(every, "rpc", "city/search", {"begins": "R"}) == "R"
    assert call(every, "rpc", "city/search", None) == ""
    assert said == [("alice", CitySubmitted("Rome")), SearchCities("R"), SearchCities()]


@pytest.mark.parametrize(
    ("kind", "name", "data", "fault"),
    [
        ("event", "city/submitted", {"inhabitants": 7}, "name: it is missing (in city/submitted)"),
        ("event", "city/submitted", None, "name: it is missing (in city/submitted)"),
        ("event", "city/submitted", "Rome", "expected object, got str (in city/submitted)"),
        ("rpc", "city/search", {"begins": 7}, "begins: expected str, got int (in city/search)"),
    ],
)
def test_what_is_not_as_the_class_says_is_the_clients_fault(
    every: ProcessHandlers, said: list[Any], kind: Kind, name: str, data: Any, fault: str
) -> None:
    with pytest.raises(Refuse) as caught:
        call(every, kind, name, data)
    assert (caught.value.code, caught.value.message) == (107, f"bad request: {fault}")
    assert said == []


def test_a_handler_is_known_by_where_it_is_written_and_by_what_it_takes(
    every: ProcessHandlers, said: list[Any]
) -> None:
    typed = every.find("event", "city/submitted")
    assert typed is not None
    assert typed.place.endswith("said.<locals>.add_city")
    taken = find_taken(typed.function)
    assert taken is not None
    assert taken.cls is CitySubmitted
    assert find_taken(lambda event: None) is None
