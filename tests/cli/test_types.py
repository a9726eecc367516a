"""`messageflow types`: the file it writes, and what it says of one that is not up to date."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from messageflow.cli.main import main
from messageflow.handlers import decorators, registry

NUMBERS = itertools.count()
MESSAGES = """
from messageflow import Event, Flow, Message

class ReportReady(Message):
    id: int

class CitySubmitted(Message):
    name: str

def create_app():
    flow = Flow()

    @flow.on(CitySubmitted)
    def take(event: Event) -> None: ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with messages, in the current directory, in a process without handlers."""
    table = registry.ProcessHandlers()
    monkeypatch.setattr(registry, "EVERY", table)
    monkeypatch.setattr(decorators, "EVERY", table)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"messages_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(MESSAGES)
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["types", *arguments])


def test_what_is_printed_is_what_is_written_and_a_check_passes_until_something_changes(module: str) -> None:
    printed = run(module)
    assert printed.exit_code == 0
    assert printed.stdout.startswith(f"// Made by `messageflow types {module}`")
    assert "Emits = Record" in printed.stdout
    path = Path("messages.ts")
    absent = run(module, "-o", str(path), "--check")
    assert (absent.exit_code, path.exists()) == (2, False)
    assert run(module, "-o", str(path)).exit_code == 0
    assert path.read_text() == printed.stdout
    assert run(module, "-o", str(path), "--check").exit_code == 0
    path.write_text(path.read_text().replace("number", "string"))
    stale = run(module, "-o", str(path), "--check")
    assert stale.exit_code == 2
    assert f"messages.ts is not up to date: messageflow types {module} -o messages.ts" in stale.stderr
    assert "string" in path.read_text(), "a check writes nothing"


def test_handlers_of_a_factory_are_known_once_it_was_called(module: str) -> None:
    assert (
        '  "city/submitted": CitySubmitted;\n}\n\n/** What the application answers'
        in run(f"{module}:create_app()").stdout
    )


def test_an_asyncapi_document_is_named_for_the_module(module: str) -> None:
    document = json.loads(run(module, "--asyncapi").stdout)
    assert document["info"]["title"] == module


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["{module}", "--check"], 2, "--check compares with a file"),
        (["{module}x"], 1, "did you mean '{module}'"),
        (["json"], 1, "there is no message there"),
        (["{module}", "-o", "no/such/messages.ts"], 1, "no/such/messages.ts cannot be written"),
    ],
)
def test_what_will_not_do_is_said(module: str, arguments: list[str], status: int, text: str) -> None:
    result = run(*(each.format(module=module) for each in arguments))
    assert result.exit_code == status
    assert text.format(module=module) in result.stderr
