"""Python values as JSON: what people put into a payload, encoded as they expect.

    datetime, date, time, timedelta     ISO 8601; a datetime without a zone stays without one
    UUID, Decimal, Path                 a string; a Decimal keeps every digit
    Enum                                its value
    bytes                               base64
    dataclasses, attrs, msgspec         an object
    pydantic models                     their own JSON form
    tuple, set, deque, range, dict views, generators: an array; any Mapping: an object
    numpy scalars and arrays            numbers and nested arrays
    NaN and the infinities              null, for JSON has none
    keys that are not strings           as JSON writes them: 1 → "1", True → "true", None → "null"

Compact, one line, UTF-8. numpy and pydantic are never imported here: a value of theirs shows that they are loaded.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from datetime import date, datetime, time, timedelta
from enum import Enum
from os import PathLike
from typing import Any

import msgspec

from messageflow.errors import EncodingError

_ITERABLES = (deque, range, set, frozenset, KeysView, ValuesView, ItemsView, Iterator)


def encode(value: Any, name: str = "payload") -> bytes:
    """Return `value` as JSON.

    Args:
        value: what to encode.
        name: what it is called in a complaint.

    Raises:
        EncodingError: JSON cannot carry it; the message names the type and where it stands.
    """
    try:
        return _encoder.encode(value)
    except RecursionError:
        raise EncodingError(f"{name} is nested too deep for JSON, or contains itself") from None
    except Exception as error:  # whatever a model's own method raised, beside what msgspec raises
        found = _culprit(value, name)
        if found is None:
            raise EncodingError(f"{name} cannot be encoded as JSON: {error}") from error
        where, what = found
        raise EncodingError(f"{where} is {what}, which JSON cannot carry: {_advice(error)}") from error


def _advice(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it holds half a surrogate pair"
    if isinstance(error, TypeError | NotImplementedError):
        return "convert it first, for example to a dict or a string"
    return str(error)


def _hook(value: Any) -> Any:
    """Turn what msgspec does not know into what it does. It asks for keys of dicts too, hence None and bool."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    for convert in (_from_numpy, _from_library, _from_subclass):
        simpler = convert(value)
        if simpler is not value:
            return simpler
    raise NotImplementedError


def _from_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return value
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.timedelta64):
        return None if numpy.isnat(value) else value.astype("timedelta64[us]").item()
    if isinstance(value, numpy.ndarray):
        return list(value) if value.dtype.kind in "mM" and value.ndim else value.tolist()
    return value.item() if isinstance(value, numpy.generic) else value


def _from_library(value: Any) -> Any:
    if isinstance(value, type):
        return value
    if hasattr(value, "model_dump"):  # pydantic 2
        return value.model_dump(mode="json")
    if hasattr(value, "__fields__") and hasattr(value, "json"):  # pydantic 1
        return msgspec.Raw(value.json().encode())
    return value


def _from_subclass(value: Any) -> Any:
    """msgspec takes exact types only; a subclass is carried as what it extends."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return timedelta(value.days, value.seconds, value.microseconds)
    if isinstance(value, PathLike):
        return value.__fspath__()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, _ITERABLES) else value


_encoder = msgspec.json.Encoder(enc_hook=_hook)


def _culprit(value: Any, where: str, depth: int = 0) -> tuple[str, str] | None:
    """Find the innermost part that cannot be encoded. Slow, and called only after a failure."""
    if depth > 100 or _encodes(value):
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not _encodes({key: None}):
                return f"{where} key {key!r:.60}", _described(key)
    for step, part in _parts(value):
        found = _culprit(part, where + step, depth + 1)
        if found is not None:
            return found
    return where, _described(value)


def _encodes(value: Any) -> bool:
    try:
        _encoder.encode(value)
    except Exception:
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r:.60}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, Enum):
        yield ".value", value.value
    elif not isinstance(value, type):
        names: Iterable[str] = getattr(value, "__dataclass_fields__", ()) or getattr(value, "__struct_fields__", ())
        yield from ((f".{name}", getattr(value, name)) for name in names if hasattr(value, name))


def _described(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a {name}" if name[0] not in "aeiou" else f"an {name}"
