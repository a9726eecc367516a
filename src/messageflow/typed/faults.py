"""What libraries say of a value that is wrong, as the field and the reason.

Pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

REASON = 200  # characters of what a library says, which may quote the value
_AT = " - at `"
_MISSING = "Object missing required field `"


class Fault(NamedTuple):
    """What is wrong.

    Args:
        field: its path, such as `items[0].price`; empty for the whole.
        reason: in words.
    """

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


class InnerFault(ValueError):
    """What is wrong inside of a field that another library reads.

    Args:
        fault: as that library sees it.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def read_msgspec(error: Exception) -> Fault:
    """Return the fault of a `msgspec.ValidationError`: `Expected `int`, got `str` - at `$.id``."""
    reason, _, place = str(error).rpartition(_AT) if _AT in str(error) else (str(error), "", "")
    path = place.rstrip("`").removeprefix("key` in `").removeprefix("$").removeprefix(".")
    if isinstance(error.__cause__, InnerFault):
        inner = error.__cause__.fault
        return Fault(_join(path, inner.field), inner.reason)
    if reason.startswith(_MISSING):
        return Fault(_join(path, reason.removeprefix(_MISSING).rstrip("`")), "it is missing")
    return Fault(path, _shorten(reason.replace("`", "")))


def read_pydantic(error: Any) -> Fault:
    """Return the first fault of a `pydantic.ValidationError`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for step in first["loc"]:
        path = f"{path}[{step}]" if isinstance(step, int) else _join(path, str(step))
    return Fault(path, _shorten(first["msg"]))


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path and step else path or step


def _shorten(reason: str) -> str:
    text = reason[:1].lower() + reason[1:]
    return text if len(text) <= REASON else f"{text[: REASON - 1]}…"
