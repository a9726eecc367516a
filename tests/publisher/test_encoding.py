"""What Python values become in JSON, and what is said of those that become nothing."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import attrs
import msgspec
import numpy as np
import pydantic
import pydantic.v1
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from messageflow.errors import EncodingError, MessageflowError
from messageflow.publisher.encoding import encode


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    """A string with behaviour, as translation libraries have them."""


class Role(str, enum.Enum):  # noqa: UP042 - whose str() is not its value, unlike StrEnum's
    ADMIN = "admin"


class NotATime(datetime):
    """As the NaT of pandas: a datetime that equals nothing."""

    __hash__ = datetime.__hash__

    def __eq__(self, _: object) -> bool:
        return False


class Moment(datetime):
    """A datetime with behaviour, as pandas and pendulum have them."""


class Point(msgspec.Struct):
    x: int
    y: int


@dataclasses.dataclass
class Job:
    id: UUID
    due: date


@attrs.define
class Box:
    width: int


class Model(pydantic.BaseModel):
    when: datetime
    price: Decimal


class OldModel(pydantic.v1.BaseModel):
    when: datetime


class Pair(collections.namedtuple("Pair", "a b")):
    """Goes out as the array it is."""


ZERO = UUID(int=0)
NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))

TABLE: list[tuple[Any, str]] = [
    (None, "null"),
    ({"a": [1, 2.5, True, None, "é\n"]}, '{"a":[1,2.5,true,null,"é\\n"]}'),
    (NINE, '"2026-03-01T09:30:00Z"'),
    (datetime(2026, 3, 1, 9, 30), '"2026-03-01T09:30:00"'),
    (datetime(2026, 3, 1, 9, 30, tzinfo=EAST), '"2026-03-01T09:30:00+02:00"'),
    (Moment(2026, 3, 1), '"2026-03-01T00:00:00"'),
    (date(2026, 3, 1), '"2026-03-01"'),
    (time(9, 30), '"09:30:00"'),
    (timedelta(days=1, seconds=2), '"P1DT2S"'),
    (ZERO, '"00000000-0000-0000-0000-000000000000"'),
    (Decimal("1.10"), '"1.10"'),
    (PurePosixPath("/a/b"), '"/a/b"'),
    (b"ab", '"YWI="'),
    (Colour.RED, '"red"'),
    (Level.HIGH, "3"),
    (Word("hello"), '"hello"'),
    (2**70, str(2**70)),
    ((1, 2), "[1,2]"),
    (Pair(1, 2), "[1,2]"),
    ({1}, "[1]"),
    (frozenset({1}), "[1]"),
    (collections.deque([1, 2]), "[1,2]"),
    (range(3), "[0,1,2]"),
    ({"a": 1}.keys(), '["a"]'),
    ({"a": 1}.items(), '[["a",1]]'),
    ((n * n for n in (1, 2)), "[1,4]"),
    (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (collections.ChainMap({"a": 1}), '{"a":1}'),
    (Point(1, 2), '{"x":1,"y":2}'),
    (Job(ZERO, date(2026, 3, 1)), '{"id":"00000000-0000-0000-0000-000000000000","due":"2026-03-01"}'),
    (Box(3), '{"width":3}'),
    (Model(when=NINE, price=Decimal("1.10")), '{"when":"2026-03-01T09:30:00Z","price":"1.10"}'),
    ([OldModel(when=NINE)], '[{"when": "2026-03-01T09:30:00+00:00"}]'),
    ({1: "a", 1.5: "b", False: "c", None: "d"}, '{"1":"a","1.5":"b","false":"c","null":"d"}'),
    ({ZERO: 1}, '{"00000000-0000-0000-0000-000000000000":1}'),
    ({date(2026, 3, 1): 1, Level.HIGH: 2, Word("w"): 3}, '{"2026-03-01":1,"3":2,"w":3}'),
    (np.int64(3), "3"),
    (np.float32(0.5), "0.5"),
    (np.bool_(True), "true"),
    (np.str_("a"), '"a"'),
    (np.array([[1.5, 3], [2, 4]]), "[[1.5,3.0],[2.0,4.0]]"),
    (np.longdouble(1.5), "1.5"),
    (bytearray(b"ab"), '"YWI="'),
    ({b"ab": None, "NaN": "nan", "inf": "Infinity"}, '{"YWI=":null,"NaN":"nan","inf":"Infinity"}'),
    (Markup("<b>"), '"<b>"'),
    ({Markup("k"): [Role.ADMIN]}, '{"k":["admin"]}'),
    (NotATime(2026, 3, 1), "null"),
    (np.array(7), "7"),
    (np.datetime64("2026-03-01T09:30:00.123456789"), '"2026-03-01T09:30:00.123456789"'),
    (np.array(["2026-03-01", "NaT"], dtype="datetime64[D]"), '["2026-03-01",null]'),
    (np.timedelta64(2, "s"), '"PT2S"'),
    ({np.int64(4): np.int8(1)}, '{"4":1}'),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=[type(value).__name__ for value, _ in TABLE])
def test_value_encodes_as_people_expect(value: Any, expected: str) -> None:
    assert encode(value).decode() == expected


class Opaque:
    pass


@dataclasses.dataclass
class Holder:
    held: Any


class Broken(pydantic.BaseModel):
    when: datetime

    @pydantic.field_serializer("when")
    def fail(self, _when: datetime) -> str:
        raise RuntimeError("no clock")


REFUSED: list[tuple[Any, str]] = [
    (Opaque(), r"payload is a \S*Opaque, which JSON cannot carry"),
    ({"rows": [1, {"x": Opaque()}]}, r"payload\['rows'\]\[1\]\['x'\] is a \S*Opaque"),
    ({"set": {1 + 2j}}, r"payload\['set'\]\[0\] is a complex"),
    (Holder(int), r"payload\.held is a type"),
    ([Point(1, Opaque())], r"payload\[0\]\.y is a \S*Opaque"),  # type: ignore[arg-type]
    ({"a": {(1, 2): 3}}, r"payload\['a'\] key \(1, 2\) is a tuple"),
    ({"a": "\ud800"}, r"payload\['a'\] is a str.*half a surrogate"),
    ([np.array([1j])], r"payload\[0\]\[0\] is a numpy\.complex128"),
    ([Broken(when=NINE)], r"payload\[0\] is a \S*Broken"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_json_cannot_carry_is_named_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        encode(value)


class Weight(pydantic.BaseModel):
    value: float


class OldWeight(pydantic.v1.BaseModel):
    value: float


class Nowhere(enum.Enum):
    AT_ALL = math.nan


NOT_FINITE: list[tuple[Any, str]] = [
    (math.nan, "payload is a float"),
    ({"rows": [1, {"x": -math.inf}], "id": 7}, r"payload\['rows'\]\[1\]\['x'\] is a float"),
    ({"long": "x" * 200, "rows": [1, {"x": math.inf}]}, r"payload\['rows'\]\[1\]\['x'\] is a float"),
    ({"long": "x" * 200, "rows": {math.nan: 1}}, r"payload\['rows'\] key nan is a float"),
    ({"long": "x" * 200, "rows": {-math.inf: 1}}, r"payload\['rows'\] key -inf is a float"),
    ({math.inf: 1}, "payload key inf is a float"),
    ([1e999], r"payload\[0\] is a float"),
    (Decimal("NaN"), r"payload is a decimal\.Decimal"),
    (["x" * 200, Decimal("sNaN")], r"payload\[1\] is a decimal\.Decimal"),
    (["x" * 200, Decimal("-Infinity")], r"payload\[1\] is a decimal\.Decimal"),
    ((1, 2, math.nan), r"payload\[2\] is a float"),
    ({1, math.inf}, r"payload\[\d\] is a float"),
    (collections.ChainMap({"a": math.nan}), r"payload\['a'\] is a float"),
    (collections.deque([math.nan]), r"payload\[0\] is a float"),
    (np.float64("nan"), r"payload is a numpy\.float64"),
    ([np.float32("inf")], r"payload\[0\] is a numpy\.float32"),
    (np.longdouble("nan"), r"payload is a numpy\."),
    ({"m": np.array([[1, 2], [3, np.nan]])}, r"payload\['m'\]\[1\]\[1\] is a numpy\.float64"),
    (Holder(math.nan), r"payload\.held is a float"),
    ([Box(math.nan)], r"payload\[0\]\.width is a float"),  # type: ignore[arg-type]
    ([Point(1, math.nan)], r"payload\[0\]\.y is a float"),  # type: ignore[arg-type]
    ([Weight(value=math.nan)], r"payload\[0\]\.value is a float"),
    ([OldWeight(value=math.nan)], r"payload\[0\] is a \S*OldWeight"),
    ([Nowhere.AT_ALL], r"payload\[0\]\.value is a float"),
    ((number for number in [math.nan]), "payload cannot be encoded as JSON: it holds NaN"),
]


@pytest.mark.parametrize(("value", "message"), NOT_FINITE, ids=[message for _, message in NOT_FINITE])
def test_what_is_no_number_is_refused_with_its_place_and_never_null(value: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        encode(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NaN", "null", "inf"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.floats(), inner),
    )
)
def test_nan_is_refused_wherever_json_refuses_it(value: Any) -> None:
    try:
        expected = json.loads(json.dumps(value, allow_nan=False))
    except ValueError:
        with pytest.raises(EncodingError, match="NaN or an infinity"):
            encode(value)
    else:
        assert json.loads(encode(value)) == expected or isinstance(value, dict | list)


def test_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodingError, match="contains itself"):
        encode(loop)


def test_encoding_error_is_one_of_ours_and_a_type_error() -> None:
    with pytest.raises(TypeError) as caught:
        encode(object())
    assert isinstance(caught.value, MessageflowError)


def test_complaint_names_the_argument() -> None:
    with pytest.raises(EncodingError, match=r"data\['x'\] is an object"):
        encode({"x": object()}, "data")
