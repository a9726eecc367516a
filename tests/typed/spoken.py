"""Messages of every sort, and handlers that take some of them: for the tests of the documents made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pydantic
from msgspec import Meta

from messageflow import Event, Message, message


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Item(msgspec.Struct):
    """An item of an order."""

    price: float
    count: Annotated[int, Meta(ge=1, description="how many")] = 1
    color: Color = Color.RED


class Bag(msgspec.Struct):
    items: list[Item]


class OrderPaid(Message, rename="camel"):
    """An order was paid.

    In whole */ or in part.
    """

    order_id: int
    items: list[Item] = msgspec.field(default_factory=list)
    at: datetime | None = None
    where: tuple[float, float] = (0.0, 0.0)
    words: dict[str, list[int | str]] = msgspec.field(default_factory=dict)
    level: Literal["a", "b"] = "a"
    more: int | msgspec.UnsetType = msgspec.UNSET
    receipt: Path | None = None
    bag: Bag | None = None
    anything: Any = None
    object: Any = msgspec.field(name="any-object", default=None)


class ReportLeft(Message, omit_defaults=True):
    id: int
    why: str = ""


class Pushes(Message):
    """Which has a name that the document needs."""


@message
@dataclass
class CityAdded:
    name: str
    tags: list[str] = field(default_factory=list)


class Area(pydantic.BaseModel):
    size: int = pydantic.Field(1, description="in km²")
    inner: Area | None = None


@message("country-found")
class CountryFound(pydantic.BaseModel):
    name: str
    areas: list[Area] = []


class MapDrawn(Message):
    areas: list[Area]


class CitySubmitted(Message):
    name: str
    bag: Bag | None = None
    items: list[Item] = msgspec.field(default_factory=list)


@message(pushed=True)
class LineSaid(Message):
    text: str


class Search(Message):
    text: str = ""


class _Base(Message):
    id: int


def search(event: Event[Search]) -> list[Item] | None:
    """Answer a call."""


async def count(event: Event) -> int:
    """Answer a plain call."""
    return 0


def show(event: Event) -> Exception:
    """Return what no schema can tell."""
    raise NotImplementedError


def take(event: Event) -> None:
    """Take what a page tells."""
