"""CONTRIBUTING.md fits a page, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = TEXT.split("\n## Recipes\n")[1]


def test_it_is_one_page() -> None:
    assert len(TEXT.splitlines()) <= 100


def test_the_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for line in re.findall(r"(?:\$ |`)make ([a-z-]+(?: [a-z-]+)*)", TEXT) for word in line.split()}
    assert {"demo", "test", "lint", "faults"} <= named
    assert named <= targets


def test_the_files_and_folders_it_names_exist() -> None:
    named = set(re.findall(r"`([\w/]+(?:/|\.\w+))`", TEXT))
    assert len(named) > 15
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "src/messageflow" / name).exists(), name


def test_each_name_of_code_in_a_recipe_is_in_a_file_of_that_recipe() -> None:
    for recipe in RECIPES.split("\n- "):
        files = [path for name in re.findall(r"`([\w/]+\.\w+)`", recipe) if (path := find(name)) is not None]
        sources = "".join(path.read_text() for path in files)
        for name in re.findall(r"`([A-Z_][A-Za-z_]+|[a-z]+_[a-z_]+)`", recipe):
            assert not files or re.search(rf"\b{name}\b", sources), f"{name} is in none of {files}"


def find(name: str) -> Path | None:
    return next((path for path in (ROOT / "src/messageflow" / name, ROOT / name) if path.is_file()), None)
