"""One call of the API, as a value. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Call(NamedTuple, Generic[T]):
    """One call of the API.

    Args:
        method: its name in the API.
        body: its parameters as JSON.
        read: makes the result out of the body of an answer with status 200.
        stores: whether it changes what is stored.
    """

    method: str
    body: bytes
    read: Callable[[bytes], T]
    stores: bool = False
