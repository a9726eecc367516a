"""The public face: every name is there, and importing it costs nothing a publisher does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import messageflow
from messageflow import errors

HEAVY = {"asyncio", "ssl", "jwt", "cryptography", "uvicorn", "starlette", "websockets", "multiprocessing"}


def loaded_after(program: str) -> set[str]:
    root = str(Path(messageflow.__file__).parent.parent)
    listing = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
    )
    return set(listing.stdout.split())


def test_import_loads_nothing() -> None:
    ours = {name for name in loaded_after("import messageflow") if name.startswith("messageflow")}
    assert ours == {"messageflow"}


def test_flow_loads_neither_an_event_loop_nor_a_server() -> None:
    loaded = loaded_after("from messageflow import Flow, Refused; Flow('http://gateway')")
    assert HEAVY.isdisjoint(loaded)


PUSH = """
from messageflow import Flow, GatewayUnreachable
try:
    Flow("http://127.0.0.1:9", timeout=0.01).push("alice", "t")
except GatewayUnreachable:
    pass
"""


def test_to_resolve_a_host_of_ascii_loads_no_codec_that_is_missed_as_a_process_ends() -> None:
    assert "encodings.idna" not in loaded_after(PUSH.replace("127.0.0.1", "localhost"))


TYPED = """
from messageflow import Flow, InvalidMessage, Message
class ReportReady(Message):
    id: int
try:
    Flow("http://127.0.0.1:9").push("alice", ReportReady("7"))
except InvalidMessage:
    pass
"""
GATEWAYS = ("api.api", "brokers", "cli", "dialects", "gateway", "hub", "testing")


@pytest.mark.parametrize("program", [PUSH, TYPED, "import messageflow.integrations.flask"])
def test_no_code_of_the_gateway_is_loaded(program: str) -> None:
    loaded = loaded_after(program)
    assert "messageflow.publisher.flow" in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"messageflow.{each}." for each in GATEWAYS))] == []


def test_a_typed_message_loads_no_library_of_models_and_no_maker_of_documents() -> None:
    loaded = loaded_after(TYPED)
    assert loaded.isdisjoint(HEAVY | {"attr", "dataclasses", "pydantic", "messageflow.typed.schemas"})
    assert "messageflow.typed.kinds" in loaded


@pytest.mark.parametrize("name", messageflow.__all__)
def test_name_is_there(name: str) -> None:
    assert getattr(messageflow, name) is getattr(messageflow, name)


def test_every_error_is_there() -> None:
    raised = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert raised <= set(messageflow.__all__)
    assert set(messageflow.__all__) <= set(dir(messageflow))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="flwo"):
        messageflow.flwo  # noqa: B018
