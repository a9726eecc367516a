"""The OpenAPI document of the server API, made of its shapes (`calls`, `answers`) and of the table of its methods.

Owns no sentence about a call: descriptions are those of the shapes. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from messageflow.api import answers
from messageflow.api.answers import BatchAnswer, CallError
from messageflow.api.calls import BatchCall
from messageflow.api.methods import METHODS, Method
from messageflow.core.gateway_paths import BASE_PATH
from messageflow.version import VERSION

Schema = dict[str, Any]

FAILURES = {
    "400": "The body is not what the method takes.",
    "401": "The API key is missing or wrong.",
    "408": "The body did not arrive in time.",
    "413": "The body, or a payload in it, is too large.",
    "503": "Nothing was done, since the gateway shuts down or its broker is away: call again.",
    "504": "The broker gave no answer in time, and nobody knows: call again with the same idempotency_key.",
    "507": "Nothing was stored, since there is no room.",
}
_SCALARS: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "boolean",
    types.NoneType: "null",
}
_NOTHING_SAID = (types.AnyType, types.RawType)
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def make_document() -> Schema:
    """Return the document, ready to be written as JSON."""
    schemas = _Schemas()
    paths = {f"/{name}": {"post": _operation(name, method, schemas)} for name, method in METHODS.items()}
    schemas.refer(CallError)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "messageflow server API",
            "version": VERSION,
            "description": "What a backend may ask of a gateway. Most errors are answered with status 200, as in "
            "Centrifugo: look for `error` first.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [
            {
                "url": "{gateway}" + BASE_PATH + "api",
                "variables": {"gateway": {"default": "http://127.0.0.1:8000", "description": "Where the gateway is."}},
            }
        ],
        "tags": [{"name": section} for section in dict.fromkeys(method.section for method in METHODS.values())],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.made.items())),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "responses": {status: _failure(text) for status, text in FAILURES.items()},
        },
    }


def make_page() -> bytes:
    """Return the document as JSON for people too."""
    return msgspec.json.format(msgspec.json.encode(make_document()), indent=2) + b"\n"


def describe(shape: type[Struct]) -> tuple[str, dict[str, str]]:
    """Return what the docstring of a shape says: of it, and of each of its fields."""
    found: dict[str, str] = {}
    summary = ""
    for each in reversed(shape.__mro__):  # what a shape is made of declares fields as well
        summary, _, fields = cleandoc(each.__doc__ or "").partition("\n\nArgs:\n")
        found |= {name: " ".join(said.split()) for name, said in _ARGUMENT.findall(fields)}
    return " ".join(summary.split()), found


def _operation(name: str, method: Method, schemas: _Schemas) -> Schema:
    takes = schemas.refer(method.takes, method.requires)
    return {
        "operationId": name,
        "summary": describe(method.takes)[0],
        "tags": [method.section],
        "requestBody": {"required": True, "content": _json(takes)},
        "responses": {
            "200": {"description": describe(method.answers)[0], "content": _json(_answer(name, method, schemas))},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in FAILURES},
        },
    }


def _answer(name: str, method: Method, schemas: _Schemas) -> Schema:
    result = schemas.refer(method.answers)
    done = result if name == "batch" else _object({"result": result}, ["result"])
    return {"oneOf": [done, _object({"error": schemas.refer(CallError)}, ["error"])]}


def _failure(text: str) -> Schema:
    error = {"$ref": f"#/components/schemas/{CallError.__name__}"}
    return {"description": text, "content": _json(_object({"error": error}, ["error"]))}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


class _Schemas:
    """The schemas of shapes, each made when it is first referred to.

    Attributes:
        made: by name.
    """

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def refer(self, shape: type[Struct], required: Iterable[str] = ()) -> Schema:
        """Return a reference to the schema of a shape.

        Args:
            shape: which.
            required: what it must have, besides what it always has.
        """
        name = shape.__name__
        if name not in self.made:
            self.made[name] = {}  # for one that refers to itself
            self.made[name] = self._make(shape, set(required))
        return {"$ref": f"#/components/schemas/{name}"}

    def _make(self, shape: type[Struct], required: set[str]) -> Schema:
        summary, said = describe(shape)
        properties: Schema = {}
        info = types.type_info(shape)
        assert isinstance(info, types.StructType)
        for field in info.fields:
            if field.required or (shape.__module__ == answers.__name__ and _is_always_there(shape, field)):
                required.add(field.encode_name)
            special = self._special(shape, field.name)
            schema = special or self._of(field.type)
            if isinstance(field.default, bool | int | str) and field.default not in ("", 0):
                schema = {**schema, "default": field.default}
            properties[field.encode_name] = {**schema, "description": said.get(field.name, "")}
        return {"description": summary, **_object(properties, sorted(required))}

    def _special(self, shape: type[Struct], field: str) -> Schema | None:
        """Return the schema of a field that is decoded in two steps."""
        parts = {name: method for name, method in METHODS.items() if name != "batch"}
        if (shape, field) == (BatchCall, "commands"):
            one = {name: self.refer(method.takes, method.requires) for name, method in parts.items()}
        elif (shape, field) == (BatchAnswer, "replies"):
            one = {name: self.refer(method.answers) for name, method in parts.items()}
            one["error"] = self.refer(CallError)
        else:
            return None
        return {"type": "array", "items": {**_object(one), "minProperties": 1, "maxProperties": 1}}

    def _of(self, type_: types.Type) -> Schema:
        if isinstance(type_, types.Metadata):
            return self._of(type_.type)
        if isinstance(type_, types.StructType):
            return self.refer(type_.cls)
        if isinstance(type_, types.ListType | types.VarTupleType):
            return {"type": "array", "items": self._of(type_.item_type)}
        if isinstance(type_, types.DictType):
            return {"type": "object", "additionalProperties": self._of(type_.value_type)}
        if isinstance(type_, types.UnionType):
            return _join([self._of(each) for each in type_.types])
        if isinstance(type_, _NOTHING_SAID):
            return {}
        if isinstance(type_, types.IntType) and type_.ge is not None:
            return {"type": "integer", "minimum": type_.ge}
        return {"type": _SCALARS[type(type_)]}


def _join(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    if all(set(schema) == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _is_always_there(shape: type[Struct], field: types.Field) -> bool:
    """Whether an answer has a field whatever it says; one without a default is left out where it is not set."""
    has_default = field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT
    return has_default and not shape.__struct_config__.omit_defaults
