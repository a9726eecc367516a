"""Structs as Protobuf messages and back: names and types of fields are those of the struct, numbers come from a table.

What reads and writes is put together once, when a dialect is loaded. Knows no message of any protocol. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from msgspec import Raw
from msgspec.inspect import (
    BoolType,
    DictType,
    IntType,
    ListType,
    NamedTupleType,
    NoneType,
    RawType,
    StrType,
    StructType,
    Type,
    UnionType,
    multi_type_info,
)

from messageflow.core.opaque_bytes import unwrap, wrap
from messageflow.dialects.protobuf_wire import (
    Field,
    UnreadableMessage,
    delimited_key,
    make_delimiter,
    number_key,
    read_fields,
    write_varint,
)

Shapes = Mapping[type, Mapping[str, tuple[int, Type]]]  # number and kind of each field of each struct
Writer = Callable[[Any], bytes]

_NAME, _VALUE = 1, 2  # the fields of an entry of a map
_SIGNED, _UNSIGNED = 2**63, 2**64


class WrongValue(ValueError):
    """A field has a value that it cannot have; the text says which."""


def describe(tables: Mapping[type, Mapping[str, int]]) -> Shapes:
    """Return what the fields of structs are, in the order of their numbers.

    All at once, for msgspec looks at a struct anew whenever it is asked, and a start would wait for it.

    Args:
        tables: the numbers of the fields of each struct.
    """
    shapes: dict[type, Mapping[str, tuple[int, Type]]] = {}
    for cls, info in zip(tables, multi_type_info(tables), strict=True):
        assert isinstance(info, StructType | NamedTupleType)
        kinds = {field.name: _unwrap(field.type) for field in info.fields}
        shapes[cls] = {name: (number, kinds[name]) for name, number in sorted(tables[cls].items(), key=itemgetter(1))}
    return shapes


def _unwrap(kind: Type) -> Type:
    if not isinstance(kind, UnionType):
        return kind
    [found] = [each for each in kind.types if not isinstance(each, NoneType)]
    return found


class Writers(NamedTuple):
    """Makes what makes messages of structs; fields that are empty, zero or false are left out.

    Args:
        shapes: of all structs that occur.
        within: fields with JSON that are messages on the wire, and what makes those of the JSON.
        alike: structs of which many say the same; what holds texts and numbers alone is written once for all of them.
    """

    shapes: Shapes
    within: Mapping[str, Callable[[bytes], Sequence[bytes]]] = {}
    alike: Collection[type] = ()

    def make(self, cls: type) -> Writer:
        """Return what writes such a struct."""
        writers = self.make_fields(cls)
        names = list(writers)
        if not names:
            return lambda struct: b""
        look, each = attrgetter(*names), list(writers.values())
        if len(names) == 1:
            return lambda struct: _write_values(each, (look(struct),))
        return lambda struct: _write_values(each, look(struct))

    def make_field(self, number: int, cls: type) -> Writer:
        """Return what writes a field with such a struct."""
        write = make_delimiter(number, self.make(cls))
        if cls not in self.alike:
            return write
        writers = self.make_fields(cls)
        plain = [name for name, (_, kind) in self.shapes[cls].items() if isinstance(kind, BoolType | IntType | StrType)]
        look, look_beside = attrgetter(*plain), attrgetter(*[name for name in writers if name not in plain])
        write_plain = lru_cache(maxsize=1024)(
            make_delimiter(number, partial(_write_values, [writers[name] for name in plain]))
        )
        return lambda struct: write(struct) if any(look_beside(struct)) else write_plain(look(struct))

    def make_fields(self, cls: type) -> dict[str, Writer]:
        """Return what writes each field that is not empty."""
        return {name: self._make_value(number, kind, name) for name, (number, kind) in self.shapes[cls].items()}

    def _make_value(self, number: int, kind: Type, name: str = "") -> Writer:
        """Return what writes a value that is not empty, with its key."""
        if isinstance(kind, BoolType | IntType):
            key = write_varint(number_key(number))
            return lru_cache(maxsize=1024)(lambda value: key + write_varint(value))
        if isinstance(kind, RawType) and name in self.within:
            translate, delimit_each = self.within[name], make_delimiter(number, bytes)
            return lambda value: b"".join(map(delimit_each, translate(bytes(value))))
        if isinstance(kind, StrType):
            return make_delimiter(number, str.encode)
        if isinstance(kind, RawType):
            return make_delimiter(number, lambda value: unwrap(bytes(value)))
        if isinstance(kind, StructType):
            return self.make_field(number, kind.cls)
        if isinstance(kind, ListType):
            write_each = self._make_value(number, kind.item_type)
            return lambda values: b"".join(map(write_each, values))
        assert isinstance(kind, DictType)
        write_name, write_value = self._make_value(_NAME, StrType()), self._make_value(_VALUE, kind.value_type)
        delimit_entry = make_delimiter(number, bytes)
        return lambda values: b"".join(
            [delimit_entry(write_name(name) + write_value(value)) for name, value in values.items()]
        )


def _write_values(writers: Sequence[Writer], values: Sequence[Any]) -> bytes:
    return b"".join([write(value) for write, value in zip(writers, values, strict=True) if value])


class Readers(NamedTuple):
    """Makes what makes structs of messages; fields that are not known are passed over.

    Args:
        shapes: of all structs that occur.
    """

    shapes: Shapes

    def make(self, cls: type) -> Callable[[bytes], Any]:
        """Return what reads such a struct; it raises `UnreadableMessage` and `WrongValue`."""
        fields = dict([self._make_field(number, kind, name) for name, (number, kind) in self.shapes[cls].items()])
        return lambda message: cls(**read_fields(fields, message))

    def _make_field(self, number: int, kind: Type, name: str) -> tuple[int, Field]:
        """Return a field and its key."""
        numeric, delimited = number_key(number), delimited_key(number)
        if isinstance(kind, BoolType):
            return numeric, Field(name, bool)
        if isinstance(kind, IntType):
            return numeric, Field(name, _make_number_reader(name, kind))
        if isinstance(kind, StrType):
            return delimited, Field(name, read_text)
        if isinstance(kind, RawType):
            return delimited, Field(name, _read_payload)
        if isinstance(kind, StructType):
            return delimited, Field(name, self.make(kind.cls))
        if isinstance(kind, ListType):
            return delimited, self._make_field(number, kind.item_type, name)[1]._replace(add=_append)
        assert isinstance(kind, DictType)
        entry = [self._make_field(_NAME, kind.key_type, "name"), self._make_field(_VALUE, kind.value_type, "value")]
        return delimited, Field(name, partial(read_fields, dict(entry)), partial(_put, entry[1][1].read(b"")))


def read_text(data: bytes) -> str:
    """Return a text.

    Raises:
        UnreadableMessage: it is none.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnreadableMessage("a text that is not UTF-8") from None


def _make_number_reader(name: str, kind: IntType) -> Callable[[int], int]:
    if kind.ge is None:
        return lambda value: value if value < _SIGNED else value - _UNSIGNED
    most = _UNSIGNED if kind.le is None else kind.le

    def check(value: int) -> int:
        if value > most:
            raise WrongValue(f"{name} is larger than {most}")
        return value

    return check


def _read_payload(data: bytes) -> Raw:
    return Raw(wrap(data) if data else data)  # without any it is as if it were not there


def _append(values: list[Any] | None, value: Any) -> list[Any]:
    if values is None:
        return [value]
    values.append(value)
    return values


def _put(empty: Any, values: dict[str, Any] | None, entry: dict[str, Any]) -> dict[str, Any]:
    values = {} if values is None else values
    values[entry.get("name", "")] = entry.get("value", empty)
    return values
