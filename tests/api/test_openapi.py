"""The OpenAPI document: whole, sound, and true of what calls take and are answered."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messageflow.api import answers
from messageflow.api.api import Api
from messageflow.api.methods import METHODS
from messageflow.api.openapi import FAILURES, make_document, make_page
from messageflow.brokers.memory import MemoryBroker
from messageflow.core.client_info import ClientInfo
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.protocol import PublicationView
from messageflow.publisher import results
from messageflow.testing.broker_suite import RecordingSink

ROOT = Path(__file__).parents[2]
DOCUMENT = make_document()
CALL = re.compile(r"/messageflow/api/(\w+) .* -d '(\{.*\})'\n(\{.*\})$", re.MULTILINE)
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}
BODIES: dict[str, dict[str, Any]] = {
    "push": {"user": "alice", "type": "t", "payload": {"id": 7}, "idempotency_key": "k"},
    "broadcast_push": {"type": "t", "payload": None},
    "publish": {"channel": "news", "data": [1], "tags": {"a": "b"}},
    "broadcast": {"channels": ["news", "x:y"], "data": 1},
    "batch": {"commands": [{"push": {"user": "alice", "type": "t"}}, {"presence": {"channel": "x:y"}}, {"info": {}}]},
    "history": {"channel": "news", "limit": 5, "since": {"offset": 0, "epoch": ""}, "reverse": True},
    "history_remove": {"channel": "news"},
    "presence": {"channel": "seen:x"},
    "presence_stats": {"channel": "seen:x"},
    "online": {"users": ["alice"]},
    "channels": {"pattern": "*"},
    "info": {},
    "subscribe": {"user": "alice", "channel": "news", "override": {"presence": {"value": True}}},
    "unsubscribe": {"user": "alice", "channel": "news"},
    "disconnect": {"user": "alice", "disconnect": {"code": 4000, "reason": "moved"}},
    "revoke": {"user": "alice", "before": 5.5},
    "refresh": {"user": "alice", "expired": True},
}


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in the document."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(each)


def faults(schema: dict[str, Any], value: Any, at: str = "") -> list[str]:
    """Return what of a value does not fit a schema, as far as the document uses JSON Schema; unknown fields do not."""
    if "$ref" in schema:
        return faults(resolve(schema["$ref"]), value, at)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            found = [faults(each, value, at) for each in schema[choice]]
            fitting = found.count([])
            return [] if fitting == 1 or (fitting and choice == "anyOf") else [f"{at} fits {fitting}: {found}"]
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", list(KINDS))
    if not any(isinstance(value, KINDS[kind]) and (kind == "boolean" or value is not True) for kind in kinds):
        return [f"{at} is no {kinds}: {value!r}"]
    if isinstance(value, list):
        return [fault for n, each in enumerate(value) for fault in faults(schema.get("items", {}), each, f"{at}[{n}]")]
    if isinstance(value, dict) and "type" in schema:
        return _faults_of_object(schema, value, at)
    return []


def _faults_of_object(schema: dict[str, Any], value: dict[str, Any], at: str) -> list[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    found = [f"{at} has no {name}" for name in schema.get("required", ()) if name not in value]
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        found.append(f"{at} has {len(value)} fields")
    for name, each in value.items():
        if name not in properties and others is None:
            found.append(f"{at} has an unknown {name}")
        else:
            found += faults(properties.get(name, others), each, f"{at}.{name}")
    return found


def body_schema(method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][f"/{method}"]["post"]["requestBody"]["content"]["application/json"]
    return dict(found["schema"])


def answer_schema(method: str, status: int = 200) -> dict[str, Any]:
    found = DOCUMENT["paths"][f"/{method}"]["post"]["responses"][str(status)]
    found = resolve(found["$ref"]) if "$ref" in found else found
    return dict(found["content"]["application/json"]["schema"])


class AnsweringSink(RecordingSink):
    """Answers what is asked of every worker."""

    def on_question(self, question: bytes) -> bytes:
        node = answers.Node(uid="n", name="n", version="1", num_clients=2, uptime=5)
        return b'{"news":2}' if question.startswith(b"channels") else msgspec.json.encode(node)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    broker = MemoryBroker()
    await broker.start(AnsweringSink())
    yield Api(broker, Namespaces(named={"seen": NamespaceOptions(presence=True)}), 65_536)
    await broker.close()


def test_the_page_of_the_documentation_is_this_document() -> None:
    assert (ROOT / "docs" / "openapi.json").read_bytes() == make_page(), "run `make docs`"


def test_every_reference_leads_somewhere() -> None:
    references = {each["$ref"] for each in walk(DOCUMENT) if isinstance(each.get("$ref"), str)}
    assert all(resolve(each) for each in references)
    schemas = DOCUMENT["components"]["schemas"]
    assert {each.rpartition("/")[2] for each in references if "/schemas/" in each} == schemas.keys()


def test_it_has_what_every_openapi_document_has() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"]
    operations = [post["post"] for post in DOCUMENT["paths"].values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert {tag for each in operations for tag in each["tags"]} == {each["name"] for each in DOCUMENT["tags"]}
    for each in operations:
        assert each["summary"]
        assert each["responses"].keys() == {"200", *FAILURES}
    assert DOCUMENT["security"] == [{"key": []}]
    assert DOCUMENT["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_shape_and_each_of_its_fields_is_described(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert schema["description"].endswith(".")
    assert not [field for field, said in schema["properties"].items() if not said["description"]]
    assert set(schema["required"]) <= schema["properties"].keys()


def test_it_has_every_method_and_each_is_tried_here() -> None:
    assert {path.removeprefix("/") for path in DOCUMENT["paths"]} == METHODS.keys() == BODIES.keys()


@pytest.mark.parametrize("method", BODIES)
async def test_what_is_called_and_answered_fits(api: Api, method: str) -> None:
    assert faults(body_schema(method), BODIES[method]) == []
    status, answer = await api.call(method, json.dumps(BODIES[method]).encode())
    assert status == 200
    assert "error" not in json.loads(answer)
    assert faults(answer_schema(method), json.loads(answer)) == []


@pytest.mark.parametrize(("method", "field"), [(n, field) for n, each in METHODS.items() for field in each.requires])
async def test_what_it_says_is_required_is(api: Api, method: str, field: str) -> None:
    body = {name: value for name, value in BODIES[method].items() if name != field}
    assert faults(body_schema(method), body) == [f" has no {field}"]
    status, answer = await api.call(method, json.dumps(body).encode())
    if method == "batch":
        assert json.loads(answer) == {"replies": []}
    else:
        assert "error" in json.loads(answer)
        assert faults(answer_schema(method, status), json.loads(answer)) == []


def test_the_examples_of_the_documentation_fit() -> None:
    examples = CALL.findall((ROOT / "docs" / "http-api.md").read_text())
    assert len(examples) == 5
    for method, body, answer in examples:
        assert faults(body_schema(method), json.loads(body)) == []
        assert faults(answer_schema(method), json.loads(answer)) == []


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("push", {"user": "alice"}),
        ("push", {"user": None, "type": "t"}),
        ("history", {"channel": "x", "limit": "all"}),
        ("batch", {"commands": [{"push": {"user": "a", "type": "t"}, "info": {}}]}),
        ("info", {"more": 1}),
    ],
)
def test_what_does_not_fit_is_found(method: str, wrong: dict[str, Any]) -> None:
    assert faults(body_schema(method), wrong)


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (results.Receipt, answers.ReceiptAnswer),
        (results.History, answers.HistoryAnswer),
        (results.Publication, PublicationView),
        (results.ClientInfo, ClientInfo),
    ],
)
def test_what_the_publisher_reads_has_the_fields_of_what_is_written(read: Any, written: Any) -> None:
    assert set(read.__struct_fields__) == set(written.__struct_fields__) - {"delta"}  # which nothing in a history is
