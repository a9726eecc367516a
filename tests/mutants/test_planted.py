"""The list of planted bugs fits the code as it is; whether the tests kill them is `make mutants`' to see."""

from __future__ import annotations

import pytest

from tests.mutants.planted import ROOT, Planted, areas

ALL = [planted for members in areas().values() for planted in members]


@pytest.mark.parametrize("planted", ALL, ids=lambda planted: planted.name)
def test_a_planted_bug_fits_the_code_and_names_a_test_that_is_there(planted: Planted) -> None:
    planted.applied((ROOT / planted.file).read_text())
    for argument in planted.killed_by.split():
        path, _, name = argument.partition("::")
        source = (ROOT / path).read_text()
        assert not name or f"def {name.rpartition('::')[2].partition('[')[0]}(" in source, f"{name} is not in {path}"


def test_no_two_have_one_name() -> None:
    names = [planted.name for planted in ALL]
    assert sorted(set(names)) == sorted(names)


def test_a_place_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="found 0 times"):
        Planted("a bug", "x.py", "old", "new", "tests/test_x.py").applied("something else")
