"""JSON Schemas of what is said, for documents that are made of them.

What we send and what we are sent differ: in what we send, a field with a default is always there.

Never imports a library of models: a class of one shows that it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from messageflow.errors import ConfigurationError
from messageflow.typed.message import is_model
from messageflow.typed.vocabulary import Vocabulary

Schema = dict[str, Any]
PREFIX = "#/components/schemas/"
_PARTS = ("item_type", "key_type", "value_type", "type")
_SEVERAL = ("item_types", "types", "fields")
INPUT = "Input"  # ends the name of what pages send where it differs from what they are sent


class CallSchemas(NamedTuple):
    """A call: what it is given, and what it returns."""

    data: Schema
    result: Schema


class Contract(NamedTuple):
    """A vocabulary as schemas, by name.

    Args:
        pushes: of payloads.
        events: of data.
        calls: of both.
        components: what the others refer to, by name.
    """

    pushes: dict[str, Schema]
    events: dict[str, Schema]
    calls: dict[str, CallSchemas]
    components: dict[str, Schema]


def make_contract(said: Vocabulary) -> Contract:
    """Return the schemas of all that is said.

    Raises:
        ConfigurationError: a class has a field that JSON Schema cannot tell, or two classes have one name.
    """
    results = [asked.result for asked in said.calls.values()]
    sent, out = _make_schemas([*said.pushes.values(), *map(_tolerate, results)], sent=True)
    taken, into = _make_schemas([*said.events.values(), *(asked.data for asked in said.calls.values())], sent=False)
    names = {name: f"{name}{INPUT}" for name in _find_differing(out, into)}
    taken = [_rename(each, names) for each in taken]
    components = out | {names.get(name, name): _rename(each, names) for name, each in into.items()}
    events, data = taken[: len(said.events)], taken[len(said.events) :]
    calls = [CallSchemas(*each) for each in zip(data, sent[len(said.pushes) :], strict=True)]
    return Contract(
        dict(zip(said.pushes, sent, strict=False)),
        dict(zip(said.events, events, strict=True)),
        dict(zip(said.calls, calls, strict=True)),
        components,
    )


def _make_schemas(types: Sequence[Any], *, sent: bool) -> tuple[list[Schema], dict[str, Schema]]:
    """Return a schema for each type, and what they refer to."""
    models = _Models(sent)
    classes = _find_classes(types)
    try:
        schemas, components = msgspec.json.schema_components(
            [*types, *(each.cls for each in classes)], schema_hook=models.make, ref_template=f"{PREFIX}{{name}}"
        )
    except (TypeError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"no schema can be made of these messages: {str(error).splitlines()[-1]}") from error
    if sent:
        for info, schema in zip(classes, schemas[len(types) :], strict=True):
            _require_all(components[schema["$ref"].removeprefix(PREFIX)], info)
    _merge(components, models.components)
    return list(schemas[: len(types)]), components


def _tolerate(type_: Any) -> Any:
    """Return a type of what a function returns, `Any` for one that no schema can tell: it has been encoded somehow."""
    try:
        msgspec.json.schema(type_, schema_hook=_Models(sent=True).make)
    except (TypeError, msgspec.MsgspecError):
        return Any
    return type_


class _Models:
    """The schemas of classes that msgspec does not know, made as they are met."""

    def __init__(self, sent: bool) -> None:
        self._sent = sent
        self.components: dict[str, Schema] = {}

    def make(self, cls: Any) -> Schema:
        if is_model(cls):
            by_alias = not self._sent or bool(cls.model_config.get("serialize_by_alias"))
            mode = "serialization" if self._sent else "validation"
            schema = cls.model_json_schema(ref_template=f"{PREFIX}{{model}}", mode=mode, by_alias=by_alias)
            parts = schema.pop("$defs", {})
            if "$ref" not in schema:  # as where it refers to itself
                parts[cls.__name__] = schema
            if self._sent:
                for part in parts.values():
                    part |= {"required": list(part["properties"])} if "properties" in part else {}
            _merge(self.components, parts)
            return {"$ref": schema.get("$ref", f"{PREFIX}{cls.__name__}")}
        return {"type": "string"} if issubclass(cls, PathLike) else {"title": cls.__name__}  # which may be anything


def _merge(into: dict[str, Schema], more: dict[str, Schema]) -> None:
    for name, schema in more.items():
        if into.setdefault(name, schema) != schema:
            raise ConfigurationError(f"two classes of these messages are called {name}: give one another name")


def _find_classes(types: Iterable[Any]) -> list[inspect.StructType | inspect.DataclassType]:
    """Return the classes with fields that types are made of."""
    found: dict[Any, inspect.StructType | inspect.DataclassType] = {}
    waiting: list[Any] = list(inspect.multi_type_info(types))
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.StructType | inspect.DataclassType):
            if info.cls in found:
                continue
            found[info.cls] = info
        waiting += (part for name in _PARTS if isinstance(part := getattr(info, name, None), msgspec.Struct))
        waiting += (part for name in _SEVERAL for part in getattr(info, name, None) or ())
    return list(found.values())


def _require_all(schema: Schema, info: inspect.StructType | inspect.DataclassType) -> None:
    """Say that every field is there which is always sent."""
    config = getattr(info.cls, "__struct_config__", None)
    if "properties" not in schema or (config is not None and config.omit_defaults):
        return
    may_lack = {each.encode_name for each in info.fields if _may_be_unset(each)}
    schema["required"] = [name for name in schema["properties"] if name not in may_lack]


def _may_be_unset(field: inspect.Field) -> bool:
    return not field.required and field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT


def _find_differing(out: dict[str, Schema], into: dict[str, Schema]) -> set[str]:
    """Return the names of what is not the same in both, also by what it refers to."""
    found = {name for name, schema in into.items() if name in out and out[name] != schema}
    before = -1
    while before != len(found):
        before = len(found)
        found |= {name for name, schema in into.items() if name in out and found & set(list_references(schema))}
    return found


def list_references(schema: Any) -> Iterator[str]:
    """Yield the names that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(PREFIX)
        for value in schema.values():
            yield from list_references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from list_references(value)


def _rename(schema: Any, names: dict[str, str]) -> Any:
    """Return a schema that refers to others by their new names."""
    if isinstance(schema, dict):
        renamed = {key: _rename(value, names) for key, value in schema.items()}
        if isinstance(reference := renamed.get("$ref"), str):
            name = reference.removeprefix(PREFIX)
            renamed["$ref"] = f"{PREFIX}{names.get(name, name)}"
        return renamed
    return [_rename(value, names) for value in schema] if isinstance(schema, list) else schema
