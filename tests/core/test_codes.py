"""The numbers of codes stand in `core.codes`, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from messageflow.core import codes
from messageflow.core.codes import CLOSE_CODES, Disconnect, ErrorCode, Unsubscribe, is_close_code

SRC = Path(codes.__file__).parents[1]
DECLARED = [each for each in vars(codes).values() if isinstance(each, Disconnect | ErrorCode | Unsubscribe)]
NUMBERS = {each.code for each in DECLARED} - {100, 101, 2000}  # those mean other things as well
BELOW = {"errors.py"}  # what cannot import it: tests/test_errors.py holds the two equal


def test_no_other_module_spells_the_number_of_a_code() -> None:
    found = [
        f"{path.relative_to(SRC)}:{node.lineno}"
        for path in SRC.rglob("*.py")
        if path != Path(codes.__file__) and path.name not in BELOW
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in NUMBERS
    ]
    assert found == []


def test_no_code_stands_twice() -> None:
    assert len({each.code for each in DECLARED}) == len(DECLARED)


@pytest.mark.parametrize(("code", "closes"), [(2999, False), (3000, True), (4999, True), (5000, False)])
def test_a_close_code_has_a_range(code: int, closes: bool) -> None:
    assert is_close_code(code) is closes
    assert code in CLOSE_CODES or not closes
