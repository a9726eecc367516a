"""Every figure that a broker gives is in the table, and every one in the table is given by some broker."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from messageflow.brokers import broker_counters
from messageflow.brokers.broker_counters import FIGURES


def list_given() -> Iterator[str]:
    """Yield the keys in every `statistics` of a broker."""
    for path in Path(broker_counters.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "statistics":
                tables = (each for each in ast.walk(node) if isinstance(each, ast.Dict))
                yield from (str(key.value) for table in tables for key in table.keys if isinstance(key, ast.Constant))


def test_the_table_has_what_brokers_give() -> None:
    assert set(list_given()) == set(FIGURES)


def test_each_says_in_a_sentence_what_it_is() -> None:
    assert all(figure.help.endswith(".") for figure in FIGURES.values())
