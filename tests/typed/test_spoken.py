"""What is made of messages and handlers: their vocabulary, TypeScript that the compiler takes, and AsyncAPI."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from messageflow import ConfigurationError, Message, message
from messageflow.typed import schemas
from messageflow.typed.asyncapi import render_asyncapi
from messageflow.typed.kinds import MessageKind, find_kind
from messageflow.typed.schemas import Contract, make_contract
from messageflow.typed.typescript import render_typescript
from messageflow.typed.vocabulary import CallTypes, Taken, gather
from tests.typed import spoken

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "client"
NAMESPACE = {name: value for name, value in vars(spoken).items() if getattr(value, "__module__", "") == spoken.__name__}


def kind_of(cls: type) -> MessageKind:
    kind = find_kind(cls)
    assert kind is not None
    return kind


TAKEN = [
    Taken(False, "city/submitted", kind_of(spoken.CitySubmitted), spoken.take),
    Taken(False, "line/said", kind_of(spoken.LineSaid), spoken.take),
    Taken(False, "plain", None, spoken.take),
    Taken(True, "search", kind_of(spoken.Search), spoken.search),
    Taken(True, "count", None, spoken.count),
    Taken(True, "show", None, spoken.show),
]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return make_contract(gather([NAMESPACE], TAKEN))


def test_what_a_handler_takes_is_said_by_pages_and_all_else_is_pushed() -> None:
    said = gather([NAMESPACE, NAMESPACE], TAKEN)
    assert said.pushes == {
        "order/paid": spoken.OrderPaid,
        "report/left": spoken.ReportLeft,
        "pushes": spoken.Pushes,
        "city/added": spoken.CityAdded,
        "country-found": spoken.CountryFound,
        "map/drawn": spoken.MapDrawn,
        "line/said": spoken.LineSaid,
    }
    assert said.events == {"city/submitted": spoken.CitySubmitted, "line/said": spoken.LineSaid, "plain": Any}
    assert said.calls == {
        "search": CallTypes(spoken.Search, list[spoken.Item] | None),
        "count": CallTypes(Any, int),
        "show": CallTypes(Any, Exception),
    }


@message("order/paid")
class Another(Message):
    pass


def test_two_of_one_type_and_nothing_at_all_are_refused() -> None:
    with pytest.raises(ConfigurationError, match='both OrderPaid and Another are pushed as "order/paid"'):
        gather([NAMESPACE, {"Another": Another}], [])
    with pytest.raises(ConfigurationError, match="there is no message there"):
        gather([{"Message": Message, "_Base": spoken._Base, "number": 7}], [])


def make_namesake() -> type:
    class Item(Message):
        other: str

    return Item


def test_two_classes_of_one_name_are_told_apart() -> None:
    made = make_contract(gather([{"Mine": make_namesake()}, NAMESPACE], []))
    assert len({name for name in made.components if name.endswith("Item")}) == 2
    render_typescript(made, "x")


def test_the_typescript_is_as_it_was_looked_at(contract: Contract) -> None:
    assert render_typescript(contract, "messageflow types spoken") == (HERE / "spoken.ts").read_text()


def test_without_handlers_a_page_may_say_anything() -> None:
    text = render_typescript(make_contract(gather([{"LineSaid": spoken.LineSaid}], [])), "x")
    assert "export type Emits = Record<string, unknown>;" in text
    assert '  | { type: "line/said"; payload: LineSaid };' in text


def test_the_compiler_takes_it_with_our_client(tmp_path: Path) -> None:
    for name in ("spoken.ts", "use_spoken.ts"):
        (tmp_path / name).write_text((HERE / name).read_text())
    options = {
        "target": "ES2022",
        "module": "ESNext",
        "moduleResolution": "bundler",
        "lib": ["ES2022", "DOM"],
        "types": [],
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "noUncheckedIndexedAccess": True,
        "noEmit": True,
        "paths": {"messageflow": [str(CLIENT / "dist/types/index.d.ts")]},
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["use_spoken.ts"]}))
    compiler = CLIENT / "node_modules/typescript/bin/tsc"
    ran = subprocess.run(["node", compiler, "-p", tmp_path], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


SHAPES: list[tuple[dict[str, Any], str]] = [
    ({}, "unknown"),
    ({"const": "a"}, '"a"'),
    ({"enum": [1, "b", None]}, '1 | "b" | null'),
    ({"type": ["string", "null"]}, "string | null"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
    ({"allOf": [{"$ref": f"{schemas.PREFIX}A.b"}, {"type": "object"}]}, "(A_b) & ({ [key: string]: unknown })"),
    ({"type": "array"}, "unknown[]"),
    ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "(string | null)[]"),
    ({"type": "array", "prefixItems": [{"type": "string"}, {}], "minItems": 1, "items": False}, "[string, (unknown)?]"),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "number"}}, "[string, ...(number)[]]"),
    ({"type": "object", "additionalProperties": False}, "Record<string, never>"),
    ({"type": "object", "properties": {"in": {"type": "object", "properties": {}}}}, "{\n    in?: {};\n  }"),
]


@pytest.mark.parametrize(("schema", "written"), SHAPES)
def test_each_shape_of_a_schema_is_a_type(schema: dict[str, Any], written: str) -> None:
    made = Contract({}, {}, {}, {"A.b": {}, "It": {"type": "object", "properties": {"x": schema}, "required": ["x"]}})
    made = made._replace(pushes={"it": {"$ref": f"{schemas.PREFIX}It"}, "a": {"$ref": f"{schemas.PREFIX}A.b"}})
    assert f"  x: {written};" in render_typescript(made, "x")


def walk(value: Any, found: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(value, dict):
        found(value)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        walk(each, found)


def references(value: Any) -> Iterator[str]:
    found: list[str] = []
    walk(value, lambda each: found.append(each["$ref"]) if isinstance(each.get("$ref"), str) else None)
    yield from found


def test_the_asyncapi_document_has_the_shape_of_version_3(contract: Contract) -> None:
    document = json.loads(render_asyncapi(contract, "spoken"))
    assert set(document) == {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    assert (document["asyncapi"], document["info"]) == ("3.0.0", {"title": "spoken", "version": "1"})
    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]  # there is what it refers to
    for part in (document["components"]["messages"], document["components"]["schemas"], document["operations"]):
        assert all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in part)
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        for side in (operation, *([operation["reply"]] if "reply" in operation else [])):
            assert all(each["$ref"].startswith(f"{side['channel']['$ref']}/messages/") for each in side["messages"])
    assert document["operations"]["push"]["action"] == "send"
    assert set(document["operations"]) == {"push", "take", "answer.search", "answer.count", "answer.show"}
    messages = document["components"]["messages"]
    assert messages["push.order-paid"]["payload"]["properties"]["type"]["const"] == "order/paid"
    assert messages["call.search"]["payload"]["properties"]["data"] == {"$ref": "#/components/schemas/Search"}
    assert {each["name"] for each in messages.values()} == {*contract.pushes, *contract.events, *contract.calls}
