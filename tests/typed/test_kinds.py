"""What a typed message is checked for, before it leaves and when a page has sent it, and what is said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pydantic
import pytest

from messageflow import EncodingError, InvalidMessage, Message, message
from messageflow.publisher.encoding import encode
from messageflow.typed.kinds import MessageKind, find_kind
from messageflow.typed.message import TypedMessage


class Item(msgspec.Struct):
    price: Decimal
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class OrderPaid(Message, rename="camel"):
    order_id: int
    items: list[Item] = msgspec.field(default_factory=list)
    at: datetime | None = None
    receipt: Path | None = None
    names: dict[str, str] = msgspec.field(default_factory=dict)
    more: int | msgspec.UnsetType = msgspec.UNSET


@message
@dataclasses.dataclass
class CityAdded:
    name: str
    inhabitants: int = 0

    def __post_init__(self) -> None:
        if self.name == "Atlantis":
            raise ValueError("it is not there")


class Area(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=True)

    size: int = pydantic.Field(gt=0, alias="Size")


@message
class CountryFound(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=True)

    name: str = pydantic.Field(alias="Name")
    areas: list[Area] = []


class MapDrawn(Message):
    areas: list[Area]


GOOD: list[tuple[TypedMessage, bytes]] = [
    (OrderPaid(7), b'{"orderId":7,"items":[],"at":null,"receipt":null,"names":{}}'),
    (
        OrderPaid(np.int64(7), [Item(Decimal("1.50"))], datetime(2026, 1, 2), Path("a/b"), {"a": "b"}, 3),  # type: ignore[arg-type]
        b'{"orderId":7,"items":[{"price":"1.50","count":1}],"at":"2026-01-02T00:00:00","receipt":"a/b",'
        b'"names":{"a":"b"},"more":3}',
    ),
    (CityAdded("Rome"), b'{"name":"Rome","inhabitants":0}'),
    (CountryFound(Name="x", areas=[Area(Size=1)]), b'{"Name":"x","areas":[{"Size":1}]}'),
    (MapDrawn([]), b'{"areas":[]}'),
]


def kind_of(value: object) -> MessageKind:
    kind = find_kind(type(value))
    assert kind is not None
    return kind


@pytest.mark.parametrize(("value", "data"), GOOD)
def test_what_is_as_its_class_says_leaves_as_json_and_reads_back(value: TypedMessage, data: bytes) -> None:
    kind = kind_of(value)
    assert kind.write(value, encode) == data
    assert kind.read(msgspec.json.decode(data)) == value


ANY: Any = None
BAD: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: OrderPaid("7"), "OrderPaid", "orderId: expected int, got str"),  # type: ignore[arg-type]
    (lambda: OrderPaid(1.5), "OrderPaid", "orderId: expected int, got float"),  # type: ignore[arg-type]
    (lambda: OrderPaid(7, [Item(ANY)]), "OrderPaid", "items[0].price: expected decimal, got null"),
    (lambda: OrderPaid(7, [Item(Decimal(1), 0)]), "OrderPaid", "items[0].count: expected int >= 1"),
    (lambda: OrderPaid(7, names={"a": ANY}), "OrderPaid", "names[...]: expected str, got null"),
    (lambda: CityAdded(7), "CityAdded", "name: expected str, got int"),  # type: ignore[arg-type]
    (lambda: CountryFound.model_construct(name=7), "CountryFound", "name: input should be a valid string"),
    (
        lambda: CountryFound(Name="x", areas=[Area.model_construct(size=0)]),
        "CountryFound",
        "areas[0].size: input should be greater than 0",
    ),
    (lambda: MapDrawn([Area.model_construct(size=0)]), "MapDrawn", "areas[0].Size: input should be greater"),
]


@pytest.mark.parametrize(("make", "name", "fault"), BAD, ids=[f"{name} {fault}" for _, name, fault in BAD])
def test_what_is_not_is_refused_with_the_field(make: Callable[[], Any], name: str, fault: str) -> None:
    value = make()
    with pytest.raises(InvalidMessage) as caught:
        kind_of(value).write(value, encode)
    assert str(caught.value).startswith(f"{name}.{fault}")
    assert (caught.value.name, caught.value.field) == (name, fault.split(": ")[0])


def test_what_json_cannot_carry_is_named_by_its_class_and_field() -> None:
    with pytest.raises(EncodingError, match=r"OrderPaid\.order_id is an object, which JSON cannot carry"):
        kind_of(OrderPaid(1)).write(OrderPaid(object()), encode)  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match=r"OrderPaid\.names\['a'\] .*NaN"):
        kind_of(OrderPaid(1)).write(OrderPaid(1, names={"a": float("nan")}), encode)  # type: ignore[dict-item]


SAID: list[tuple[type, Any, str]] = [
    (OrderPaid, {}, "orderId: it is missing"),
    (OrderPaid, {"orderId": 1, "items": [{}]}, "items[0].price: it is missing"),
    (OrderPaid, None, "orderId: it is missing"),
    (OrderPaid, [], ": expected object, got array"),
    (OrderPaid, {"orderId": 1, "names": {"a": 1}}, "names[...]: expected str, got int"),
    (CityAdded, {"name": "Atlantis"}, ": it is not there"),
    (CountryFound, {"name": "x"}, "Name: field required"),
    (CountryFound, "x", ": input should be an object"),
    (MapDrawn, {"areas": [{"Size": -1}]}, "areas[0].Size: input should be greater than 0"),
]


@pytest.mark.parametrize(("cls", "data", "fault"), SAID)
def test_what_a_page_said_is_read_or_refused_with_the_field(cls: type, data: Any, fault: str) -> None:
    kind = find_kind(cls)
    assert kind is not None
    with pytest.raises(InvalidMessage) as caught:
        kind.read(data)
    field, _, reason = fault.partition(": ")
    assert caught.value.field == field.removesuffix(":")
    assert reason in caught.value.reason


def test_nothing_is_an_object_without_fields_and_a_reason_is_short() -> None:
    class Ping(Message):
        word: str = "ping"

    kind = kind_of(Ping())
    assert kind.read(None) == Ping()
    with pytest.raises(InvalidMessage) as caught:
        kind_of(CityAdded("x")).read({"name": "Rome", "inhabitants": "x" * 9000})
    assert len(str(caught.value)) < 300
