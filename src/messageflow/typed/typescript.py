"""A contract as TypeScript, for `connect<Pushes, Emits, Calls>()` of the browser client.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from messageflow.typed.schemas import PREFIX, Contract, Schema, list_references

UNKNOWN = "unknown"
OWN_NAMES = frozenset({"Pushes", "Push", "Emits", "Calls", "Record"})
_PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def render_typescript(contract: Contract, made_by: str) -> str:
    """Return the text of a module.

    Args:
        contract: what is said.
        made_by: the command that makes the file anew.
    """
    types = _Types(contract.components)
    used = _find_used(contract)
    parts = [f"// Made by `{made_by}`: change the classes in Python, and make it anew."]
    parts += [types.declare(name) for name in contract.components if name in used]
    parts += [
        _make_map("Pushes", "What may be pushed: payloads by type.", types.write_all(contract.pushes)),
        _make_union(types.write_all(contract.pushes)),
    ]
    if contract.events or contract.calls:
        calls = {
            name: f"{{ data: {types.write(each.data)}; result: {types.write(each.result)} }}"
            for name, each in contract.calls.items()
        }
        parts += [
            _make_map("Emits", "What the application is told: data by name.", types.write_all(contract.events)),
            _make_map("Calls", "What the application answers: data and result by name.", calls),
        ]
    else:
        parts += [
            "/** What the application is told: no handler is known. */\nexport type Emits = Record<string, unknown>;",
            "/** What the application answers: no handler is known. */\n"
            "export type Calls = Record<string, { data: unknown; result: unknown }>;",
        ]
    return "\n\n".join(parts) + "\n"


def _find_used(contract: Contract) -> set[str]:
    """Return the names that something of the contract refers to, directly or not."""
    calls = [schema for each in contract.calls.values() for schema in each]
    waiting = [
        n for each in (*contract.pushes.values(), *contract.events.values(), *calls) for n in list_references(each)
    ]
    used: set[str] = set()
    while waiting:
        if (name := waiting.pop()) not in used:
            used.add(name)
            waiting += list_references(contract.components[name])
    return used


def _make_map(name: str, meaning: str, entries: dict[str, str]) -> str:
    return f"/** {meaning} */\nexport interface {name} {_write_object(entries.items())}"


def _make_union(pushes: dict[str, str]) -> str:
    actions = [f"  | {{ type: {json.dumps(type_)}; payload: {payload} }}" for type_, payload in pushes.items()]
    union = "\n" + "\n".join(actions) if actions else " never"
    return f"/** Every push as an action, for `onMessage` and for reducers. */\nexport type Push ={union};"


class _Types:
    """Writes schemas as types.

    Args:
        components: what they refer to.
    """

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components
        self._names: dict[str, str] = {}
        for name in components:
            written = "".join(letter if letter.isalnum() or letter in "_$" else "_" for letter in name)
            while written in OWN_NAMES or written in self._names.values():
                written += "_"
            self._names[name] = written

    def declare(self, name: str) -> str:
        schema = self._components[name]
        head = _make_comment(schema.get("description"), "")
        if _has_properties(schema):
            return f"{head}export interface {self._names[name]} {self._write_properties(schema, '')}"
        return f"{head}export type {self._names[name]} = {self.write(schema)};"

    def write_all(self, schemas: dict[str, Schema]) -> dict[str, str]:
        return {name: self.write(schema) for name, schema in schemas.items()}

    def write(self, schema: Any, indent: str = "") -> str:
        if not isinstance(schema, dict):
            return "never" if schema is False else UNKNOWN
        if (reference := schema.get("$ref")) is not None:
            return self._names[reference.removeprefix(PREFIX)]
        if "const" in schema:
            return json.dumps(schema["const"], ensure_ascii=False)
        if "enum" in schema:
            return _unite(json.dumps(each, ensure_ascii=False) for each in schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return _unite(self.write(each, indent) for each in schema[word])
        if "allOf" in schema:
            return " & ".join(f"({self.write(each, indent)})" for each in schema["allOf"])
        kind = schema.get("type")
        if isinstance(kind, list):
            return _unite(self._write_kind(each, schema, indent) for each in kind)
        return self._write_kind(kind, schema, indent)

    def _write_kind(self, kind: str | None, schema: Schema, indent: str) -> str:
        if kind == "array":
            return self._write_array(schema, indent)
        if kind == "object":
            if _has_properties(schema):
                return self._write_properties(schema, indent)
            values = self.write(schema.get("additionalProperties"), indent)
            return "Record<string, never>" if values == "never" else f"{{ [key: string]: {values} }}"
        return _PLAIN.get(kind or "", UNKNOWN)

    def _write_array(self, schema: Schema, indent: str) -> str:
        items, first = schema.get("items"), schema.get("prefixItems")
        if first is None:
            item = self.write(items, indent)
            return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"
        written = [self.write(each, indent) for each in first]
        lacking = len(first) - schema.get("minItems", len(first))
        written = [f"({each})?" if place >= len(first) - lacking else each for place, each in enumerate(written)]
        rest = [f"...({self.write(items, indent)})[]"] if isinstance(items, dict) else []
        return f"[{', '.join([*written, *rest])}]"

    def _write_properties(self, schema: Schema, indent: str) -> str:
        deeper, required = f"{indent}  ", set(schema.get("required", ()))
        lines = []
        for name, each in schema["properties"].items():
            comment = _make_comment(each.get("description"), deeper) if isinstance(each, dict) else ""
            mark = "" if name in required else "?"
            lines.append(f"{comment}{deeper}{_write_key(name)}{mark}: {self.write(each, deeper)};\n")
        return f"{{\n{''.join(lines)}{indent}}}" if lines else "{}"


def _has_properties(schema: Schema) -> bool:
    """Whether it is an object with fields of its own; one that has none is one, too, where it is a class."""
    return schema.get("type") == "object" and "properties" in schema


def _write_object(entries: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"  {_write_key(name)}: {written};\n" for name, written in entries)
    return f"{{\n{lines}}}" if lines else "{}"


def _write_key(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else json.dumps(name, ensure_ascii=False)


def _unite(types: Iterable[str]) -> str:
    """Return the union of types, each once."""
    return " | ".join(dict.fromkeys(types)) or "never"


def _make_comment(description: Any, indent: str) -> str:
    if not isinstance(description, str) or not description.strip():
        return ""
    lines = description.strip().replace("*/", "* /").splitlines()
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    body = "".join(f"{indent} * {line.strip()}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{body}{indent} */\n"
