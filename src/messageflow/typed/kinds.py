"""How the values of a message's class are checked: before they are pushed, and when a page has said one.

Structs and dataclasses do not look at what they are given when they are made, so a value is read again from the JSON
that is to leave: what a page would see is what is checked. Models of pydantic are validated anew by their own rules,
for they may have been made without, or changed since.

Owns nothing but what each class keeps of itself. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, NoReturn

import msgspec

from messageflow.errors import InvalidMessage
from messageflow.typed.faults import Fault, InnerFault, read_msgspec, read_pydantic
from messageflow.typed.message import Declared, find_declared, is_model, make_type

KEPT = "__messageflow_kind__"
Encode = Callable[[Any, str], bytes]


class MessageKind:
    """A class of messages: structs, dataclasses, classes of attrs.

    Args:
        cls: the class.
        declared: what it was declared by.

    Attributes:
        type: what its values are pushed as.
        pushed: whether it is pushed though a handler takes it.
    """

    __slots__ = ("_decoder", "cls", "pushed", "type")

    def __init__(self, cls: type, declared: Declared) -> None:
        self.cls = cls
        self.type = declared.type or make_type(cls.__name__)
        self.pushed = declared.pushed
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def __repr__(self) -> str:
        return f"{self.cls.__name__} ({self.type!r})"

    def write(self, value: Any, encode: Encode) -> bytes:
        """Return a value as JSON, checked.

        Args:
            value: of the class.
            encode: makes JSON of it, and names it so in a complaint.

        Raises:
            InvalidMessage: it is not as the class says; the message names the field.
            EncodingError: JSON cannot carry it.
        """
        data = encode(value, self.cls.__name__)
        try:
            self._decode(data)
        except msgspec.ValidationError as error:
            self._refuse(read_msgspec(error), error)
        return data

    def read(self, data: Any) -> Any:
        """Return a value that was made of decoded JSON. Nothing is as good as an object without fields.

        Raises:
            InvalidMessage: it cannot be; the message names the field.
        """
        try:
            return self._decode(b"{}" if data is None else msgspec.json.encode(data))
        except msgspec.ValidationError as error:
            self._refuse(read_msgspec(error), error)

    def _decode(self, data: bytes) -> Any:
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self.cls, dec_hook=_read_other)
        return self._decoder.decode(data)

    def _refuse(self, fault: Fault, error: Exception) -> NoReturn:
        raise InvalidMessage(self.cls.__name__, fault.field, fault.reason) from error


class ModelKind(MessageKind):
    """A class of messages that is a model of pydantic."""

    __slots__ = ()

    def write(self, value: Any, encode: Encode) -> bytes:
        """See `MessageKind.write`."""
        try:
            self._validate_anew(value)
        except ValueError as error:
            self._explain(error)
        return encode(value, self.cls.__name__)

    def _validate_anew(self, value: Any) -> None:
        validate: Any = self.cls.model_validate  # type: ignore[attr-defined]
        try:
            validate(value.model_dump(round_trip=True, warnings=False, by_alias=False), by_name=True, by_alias=False)
        except TypeError:  # before pydantic 2.11, which knows fields by their aliases alone
            validate(value.model_dump(round_trip=True, warnings=False, by_alias=True))

    def read(self, data: Any) -> Any:
        """See `MessageKind.read`."""
        text = b"{}" if data is None else msgspec.json.encode(data)
        try:
            return self.cls.model_validate_json(text)  # type: ignore[attr-defined]
        except ValueError as error:
            self._explain(error)

    def _explain(self, error: ValueError) -> NoReturn:
        if not hasattr(error, "errors"):
            raise error
        self._refuse(read_pydantic(error), error)


def find_kind(cls: Any) -> MessageKind | None:
    """Return what there is to know of a class; None for what is no class of messages."""
    if not isinstance(cls, type):
        return None
    kept: MessageKind | None = cls.__dict__.get(KEPT)
    if kept is not None:
        return kept
    declared = find_declared(cls)
    if declared is None:
        return None
    kind = (ModelKind if is_model(cls) else MessageKind)(cls, declared)
    setattr(cls, KEPT, kind)
    return kind


def find_type(said: object) -> object:
    """Return what a push is called: of a typed message its type, for its fields are nobody's but the page's."""
    kind = find_kind(type(said))
    return said if kind is None else kind.type


def _read_other(kind: type, value: Any) -> Any:
    """Read what msgspec does not know, where a field is of it."""
    if is_model(kind):
        try:
            return kind.model_validate(value)  # type: ignore[attr-defined]
        except ValueError as error:
            raise InnerFault(read_pydantic(error)) from None
    if issubclass(kind, PathLike):
        return kind(value)  # type: ignore[call-arg]
    raise NotImplementedError(f"{kind.__name__} is of no type that JSON could be read as")
