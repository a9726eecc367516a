"""docs/log-events.md has every event that the source logs, with its level, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "messageflow"
LEVELS = {"debug", "info", "warning", "error", "critical"}
METHODS = {*LEVELS, "exception", "log_limited"}
ROW = re.compile(r"^\| (`[^|]+`) \| ([a-z, ]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
EVENT = re.compile(r"[a-z]+(_[a-z]+)*")


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a tree, but for functions that pass a line on to another log."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.FunctionDef) and node.name == "log_limited"):
            yield node
            waiting += reversed([*ast.iter_child_nodes(node)])


def logged(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield event and level of every call that logs; `varies` where the level is decided at run time."""
    for node in walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        method = node.func.attr
        if method not in METHODS:
            continue
        where = ast.unparse(node.func.value).split(".")[-1]
        arguments = [each.value if isinstance(each, ast.Constant) else ast.unparse(each) for each in node.args]
        if where in ("log", "_log", "logger") and method in LEVELS | {"exception"}:
            yield str(arguments[0]), "error" if method == "exception" else method
        elif method == "log_limited":
            level = str(arguments[0]).removeprefix("logging.").lower()
            yield str(arguments[1]), level if level in LEVELS else "varies"


@cache
def events() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        if {"testing", "publisher", "integrations"} & set(path.parts):  # sentences, in the log of the application
            continue
        for event, level in logged(ast.parse(path.read_text())):
            found.setdefault(event, set()).add(level)
    return found


def documented() -> dict[str, set[str]]:
    rows = ROW.findall((ROOT / "docs" / "log-events.md").read_text())
    return {
        name: set(re.findall(r"\w+", levels)) - {"or"}
        for names, levels in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def test_every_event_is_documented_and_no_other() -> None:
    assert set(documented()) == {event for event in events() if EVENT.fullmatch(event)}


def test_each_has_its_level() -> None:
    levels = documented()
    for event, logged_at in events().items():
        assert logged_at & levels[event] or logged_at == {"varies"}, event


def test_whatever_is_logged_is_an_event() -> None:
    assert [event for event in events() if not EVENT.fullmatch(event)] == []


def test_what_logs_is_found() -> None:
    calls = (
        "log.error('a_b')\nself._hub.log_limited(logging.INFO, 'c', x=1)\nlog.exception('d')\nhub.log_limited(n, 'e')"
    )
    found = [("a_b", "error"), ("c", "info"), ("d", "error"), ("e", "varies")]
    assert list(logged(ast.parse(calls))) == found
    assert len(events()) > 80
