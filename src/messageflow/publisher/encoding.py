"""Python values as JSON: what people put into a payload, encoded as they expect.

    datetime, date, time, timedelta     ISO 8601; a datetime without a zone stays without one
    UUID, Decimal, Path                 a string; a Decimal keeps every digit
    Enum                                its value
    bytes, bytearray                    base64
    text of any kind                    its text: marked-up, translated when it is looked at, a proxy
    dataclasses, attrs, msgspec         an object
    pydantic models                     their own JSON form
    tuple, set, deque, range, dict views, generators: an array; any Mapping: an object
    numpy scalars and arrays            numbers and nested arrays; NaT is null
    keys that are not strings           as JSON writes them: 1 → "1", True → "true", None → "null"

Refused are NaN and the infinities, wherever they stand, for JSON has none: as null they would be another value.

Compact, one line, UTF-8. numpy and pydantic are never imported here: a value of theirs shows that they are loaded.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from os import PathLike
from typing import Any

import msgspec

from messageflow.errors import EncodingError
from messageflow.publisher.arguments import find_text

_ITERABLES = (deque, range, set, frozenset, KeysView, ValuesView, ItemsView, Iterator)
_HARMLESS = frozenset({str, int, bool, type(None), bytes, datetime, date})


SHORT = 100  # bytes of JSON; looking through so few values costs less than looking for five texts


class _NotFinite(ValueError):
    """A number that is none."""

    def __str__(self) -> str:
        return "it holds NaN or an infinity, and JSON has neither; use None or a text"


def encode(value: Any, name: str = "payload") -> bytes:
    """Return `value` as JSON.

    Args:
        value: what to encode.
        name: what it is called in a complaint.

    Raises:
        EncodingError: JSON cannot carry it; the message names the type and where it stands.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise EncodingError(f"{name} is nested too deep for JSON, or contains itself") from None
    except Exception as error:  # whatever a model's own method raised, beside what msgspec raises
        found = _find_culprit(value, name)
        if found is None:
            raise EncodingError(f"{name} cannot be encoded as JSON: {error}") from error
        where, what = found
        raise EncodingError(f"{where} is {what}, which JSON cannot carry: {_give_advice(error)}") from error


def _encode(value: Any) -> bytes:
    data = _encoder.encode(value)
    if (len(data) <= SHORT or _may_hold_nan(data)) and not _is_finite(value):
        raise _NotFinite
    return data


def _may_hold_nan(data: bytes) -> bool:
    """Whether there is anything in this JSON as which msgspec writes NaN or an infinity.

    It writes null, as a key their names, and of a Decimal the name as text. `find` takes a third of the time of `in`.
    """
    find = data.find
    return (
        find(b"null") >= 0 or find(b'nan":') >= 0 or find(b'inf":') >= 0 or find(b'NaN"') >= 0 or find(b'nfinity"') >= 0
    )


def _is_finite(value: Any) -> bool:
    """Whether all numbers are, in what msgspec encodes by itself; the rest goes through `_hook`, which asks too."""
    kind = type(value)
    if kind in _HARMLESS:
        return True
    if kind is float:
        return isfinite(value)
    if kind is Decimal:
        return bool(value.is_finite())
    if isinstance(value, dict):
        return _all_finite(value) and _all_finite(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return _all_finite(value)
    if isinstance(value, Enum):
        return _is_finite(value.value)
    return all(_is_finite(getattr(value, name)) for name in _list_fields(value) if hasattr(value, name))


def _all_finite(values: Iterable[Any]) -> bool:
    for value in values:  # noqa: SIM110 - a loop, which is three times as fast as `all`
        if type(value) not in _HARMLESS and not _is_finite(value):
            return False
    return True


def _give_advice(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it holds half a surrogate pair"
    if isinstance(error, TypeError | NotImplementedError):
        return "convert it first, for example to a dict or a string"
    return str(error)


def _hook(value: Any) -> Any:
    """Turn what msgspec does not know into what it does. It asks for keys of dicts too, hence None and bool."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    for convert in (find_text, _from_numpy, _from_library, _from_subclass):
        simpler = convert(value)
        if simpler is not None and simpler is not value:
            if not _is_finite(simpler):
                raise _NotFinite
            return simpler
    raise NotImplementedError


def _from_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return value
    if isinstance(value, numpy.datetime64):
        return _NULL if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.timedelta64):
        return _NULL if numpy.isnat(value) else value.astype("timedelta64[us]").item()
    if isinstance(value, numpy.ndarray):
        return list(value) if value.dtype.kind in "mM" and value.ndim else value.tolist()
    if isinstance(value, numpy.longdouble):
        return float(value)  # `item` gives back what it is
    return value.item() if isinstance(value, numpy.generic) else value


def _from_library(value: Any) -> Any:
    if isinstance(value, type):
        return value
    if hasattr(value, "model_dump"):  # pydantic 2
        return value.model_dump(mode="json")
    if hasattr(value, "__fields__") and hasattr(value, "json"):  # pydantic 1
        return msgspec.Raw(value.json(allow_nan=False).encode())
    return value


def _from_subclass(value: Any) -> Any:
    """msgspec takes exact types only; a subclass is carried as what it extends."""
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat() if value == value else _NULL  # pandas has a datetime that is none
    if isinstance(value, timedelta):
        return timedelta(value.days, value.seconds, value.microseconds)
    if isinstance(value, PathLike):
        return value.__fspath__()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, _ITERABLES) else value


_NULL = msgspec.Raw(b"null")
_encoder = msgspec.json.Encoder(enc_hook=_hook)


def _find_culprit(value: Any, where: str, depth: int = 0) -> tuple[str, str] | None:
    """Find the innermost part that cannot be encoded. Slow, and called only after a failure."""
    if depth > 100 or _can_encode(value):
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not _can_encode({key: None}):
                return f"{where} key {key!r:.60}", _describe(key)
    for step, part in _list_parts(value):
        found = _find_culprit(part, where + step, depth + 1)
        if found is not None:
            return found
    return where, _describe(value)


def _can_encode(value: Any) -> bool:
    try:
        _encode(value)
    except Exception:
        return False
    return True


def _list_parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r:.60}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, Enum):
        yield ".value", value.value
    elif type(value).__module__ == "numpy" and getattr(value, "ndim", False):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        yield from ((f".{name}", getattr(value, name)) for name in _list_fields(value) if hasattr(value, name))


def _list_fields(value: Any) -> Iterable[str]:
    kind = type(value)
    for attribute in ("__dataclass_fields__", "__struct_fields__", "model_fields"):
        if names := getattr(kind, attribute, ()):
            return tuple(names)
    return tuple(each.name for each in getattr(kind, "__attrs_attrs__", ()))


def _describe(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a {name}" if name[0] not in "aeiou" else f"an {name}"
