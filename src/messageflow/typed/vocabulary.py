"""What an application and its pages say to one another: pushes, events, calls, gathered from classes and handlers.

Owns the rule of which class goes which way: what a handler takes is said by pages, every other message is pushed.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from messageflow.errors import ConfigurationError
from messageflow.typed.kinds import MessageKind, find_kind

PRIVATE = "_"  # begins the names of classes that are bases of others alone


class Taken(NamedTuple):
    """What a handler takes.

    Args:
        is_call: whether pages wait for what it returns.
        name: by which pages say it.
        kind: of message, None of a plain handler.
        function: the handler.
    """

    is_call: bool
    name: str
    kind: MessageKind | None
    function: Callable[..., Any]


class CallTypes(NamedTuple):
    """A call: what it is given, a class, and what it returns, an annotation. `Any` where nobody says."""

    data: Any
    result: Any


class Vocabulary(NamedTuple):
    """What is said, by name.

    Args:
        pushes: the class of each message that may be pushed.
        events: what pages tell, the class of its data, `Any` of a plain handler.
        calls: what pages ask.
    """

    pushes: dict[str, type]
    events: dict[str, Any]
    calls: dict[str, CallTypes]


def gather(namespaces: Iterable[Mapping[str, Any]], taken: Iterable[Taken]) -> Vocabulary:
    """Return what is said.

    Args:
        namespaces: of the modules with the classes.
        taken: what handlers take.

    Raises:
        ConfigurationError: two classes have one type, or there is nothing at all.
    """
    handlers = tuple(taken)
    said = {each.kind.cls for each in handlers if each.kind is not None}
    kinds: dict[str, MessageKind] = {}
    for kind in _find_kinds(namespaces):
        other = kinds.setdefault(kind.type, kind)
        if other is not kind:
            raise ConfigurationError(
                f'both {other.cls.__qualname__} and {kind.cls.__qualname__} are pushed as "{kind.type}": '
                f'give one a type of its own, @message("another/type")'
            )
    if not kinds and not handlers:
        raise ConfigurationError(
            "there is no message there: derive a class from messageflow.Message, or put @message above one"
        )
    return Vocabulary(
        {name: kind.cls for name, kind in kinds.items() if kind.pushed or kind.cls not in said},
        {each.name: _get_class(each) for each in handlers if not each.is_call},
        {each.name: CallTypes(_get_class(each), _find_result(each.function)) for each in handlers if each.is_call},
    )


def _find_kinds(namespaces: Iterable[Mapping[str, Any]]) -> list[MessageKind]:
    found: dict[MessageKind, None] = {}
    for namespace in namespaces:
        for name, value in namespace.items():
            kind = None if name.startswith(PRIVATE) else find_kind(value)
            if kind is not None:
                found[kind] = None
    return list(found)


def _get_class(taken: Taken) -> Any:
    return Any if taken.kind is None else taken.kind.cls


def _find_result(function: Callable[..., Any]) -> Any:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # a name that only type checkers see, for example
        return Any
    return hints.get("return", Any)
