"""What a message is declared by: `Message` to derive from, `@message` above any other class, and its type.

    class ReportReady(Message):          pushed as "report/ready"
        id: int

    @message("report/gone")              a name of one's own; above a dataclass or a model of pydantic, too
    class ReportDeleted(Message):
        id: int

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, overload

from msgspec import Struct

Class = TypeVar("Class", bound=type)

DECLARED = "__messageflow_message__"


class Message(Struct):
    """Derive from it and give it fields: a msgspec Struct, with all that such a class may be told."""


class DataclassMessage(Protocol):
    """An object of a dataclass, which has to stand below `@message`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class ModelMessage(Protocol):
    """A model of pydantic, which has to stand below `@message`."""

    def model_dump_json(self) -> str:
        """Return it as JSON."""


TypedMessage = Message | DataclassMessage | ModelMessage


class Declared(NamedTuple):
    """What `@message` was told.

    Args:
        type: of the message, empty for the one that its name makes.
        pushed: whether it is pushed though a handler takes it.
    """

    type: str = ""
    pushed: bool = False


@overload
def message(given: Class, /) -> Class: ...
@overload
def message(given: str = "", /, *, pushed: bool = False) -> Callable[[Class], Class]: ...
def message(given: Any = "", /, *, pushed: bool = False) -> Any:
    """Make a class a message: a dataclass, a class of attrs, or a model of pydantic. Bare, or with a type of its own.

    Args:
        given: the type; else the name of the class makes it, as `make_type` says.
        pushed: of a message that a handler takes: that it is pushed as well, for `messageflow types`.

    Raises:
        TypeError: it stands above something else.
    """
    if isinstance(given, type):
        return _declare(given, Declared())
    if not isinstance(given, str):
        raise TypeError(f'@message stands above a class, bare or as @message("report/ready"), not {given!r}')
    declared = Declared(given, pushed)
    return lambda cls: _declare(cls, declared)


def _declare(cls: Any, declared: Declared) -> Any:
    if not isinstance(cls, type):
        raise TypeError(f"@message stands above a class, not {cls!r}")
    if not has_fields(cls):
        raise TypeError(
            f"{cls.__name__} is no class with fields: derive it from messageflow.Message, or put @message above "
            "@dataclass or a model of pydantic 2"
        )
    setattr(cls, DECLARED, declared)
    return cls


def has_fields(cls: type) -> bool:
    """Whether a class is one of those that messages are made of."""
    return (
        issubclass(cls, Struct)
        or hasattr(cls, "__dataclass_fields__")
        or hasattr(cls, "__attrs_attrs__")
        or is_model(cls)
    )


def is_model(cls: type) -> bool:
    """Whether a class is a model of pydantic 2."""
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_validate_json")


def find_declared(cls: type) -> Declared | None:
    """Return what a class was declared by itself; None for what is no message."""
    declared: Declared | None = cls.__dict__.get(DECLARED)
    if declared is None and issubclass(cls, Message) and cls is not Message:
        return Declared()
    return declared


def make_type(name: str) -> str:
    """Return the type that the name of a class makes: its last word after a slash, the others joined by hyphens.

        ReportReady → report/ready     OrderItemAdded → order-item/added     City → city     HTTPFailed → http/failed

    The module does not matter, so that a class may be moved.
    """
    *before, last = _split_words(name.strip("_")) or [name]
    return f"{'-'.join(before)}/{last}" if before else last


def _split_words(name: str) -> list[str]:
    """Return the words of a name in CamelCase, in lower case: one begins where a capital stands beside a small one."""
    words, begin = list[str](), 0
    for place, letter in enumerate(name):
        follows = name[place + 1 : place + 2]
        begins = letter.isupper() and place > begin and (not name[place - 1].isupper() or follows.islower())
        if begins or letter == "_":
            words.append(name[begin:place])
            begin = place + (letter == "_")
    return [word.lower() for word in (*words, name[begin:]) if word]
