"""What makes a class a message, and what its type is."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import pydantic
import pytest

from messageflow import Message, message
from messageflow.typed.kinds import find_kind
from messageflow.typed.message import make_type

TYPES = {
    "ReportReady": "report/ready",
    "OrderItemAdded": "order-item/added",
    "City": "city",
    "HTTPFailed": "http/failed",
    "OrderHTTP": "order/http",
    "Report2Ready": "report2/ready",
    "report_ready": "report/ready",
    "_ReportReady": "report/ready",
    "ABC": "abc",
    "ÄnderungErfasst": "änderung/erfasst",
}


@pytest.mark.parametrize(("name", "type_"), TYPES.items())
def test_the_name_of_a_class_makes_its_type(name: str, type_: str) -> None:
    assert make_type(name) == type_


class ReportReady(Message):
    id: int


@message("report/over")
class ReportDone(ReportReady):
    pass


class ReportDoneAgain(ReportDone):
    pass


@message
@dataclasses.dataclass
class CityAdded:
    name: str


class CityLeft(CityAdded):
    pass


@message(pushed=True)
@attrs.define
class PageOpened:
    path: str


@message("order/paid", pushed=True)
class OrderPaid(pydantic.BaseModel):
    id: int


KINDS: dict[Any, tuple[str, bool]] = {
    ReportReady: ("report/ready", False),
    ReportDone: ("report/over", False),
    ReportDoneAgain: ("report-done/again", False),  # a type is a class's own
    CityAdded: ("city/added", False),
    PageOpened: ("page/opened", True),
    OrderPaid: ("order/paid", True),
}


@pytest.mark.parametrize("cls", KINDS)
def test_a_class_is_a_message_once_it_was_declared_one(cls: type) -> None:
    kind = find_kind(cls)
    assert kind is not None
    assert (kind.type, kind.pushed) == KINDS[cls]
    assert find_kind(cls) is kind


@pytest.mark.parametrize("what", [Message, CityLeft, str, int, "report/ready", ReportReady(7), None])
def test_nothing_else_is(what: Any) -> None:
    assert find_kind(what) is None


class Plain:
    id: int


@pytest.mark.parametrize(
    ("misuse", "text"),
    [
        (lambda: message(Plain), "Plain is no class with fields"),
        (lambda: message("t")(lambda: None), "stands above a class"),  # type: ignore[type-var]
        (lambda: message(7), 'bare or as @message("report/ready")'),  # type: ignore[call-overload]
    ],
)
def test_misuse_is_said_where_it_is_written(misuse: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        misuse()
    assert text in str(caught.value)
