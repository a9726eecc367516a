"""docs/architecture.md: a picture, three ways and the words on two pages, and every module once below."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "messageflow"
HOUSE, REST = (ROOT / "docs" / "architecture.md").read_text().split("\n## Every module\n")
MODULES, CLIENT = REST.split("\n## The browser client\n")
LINE = re.compile(r"^- `([\w-]+)`: \S", re.MULTILINE)


def listed() -> Counter[str]:
    """Return the modules of the page by their paths, and how often each is there."""
    found = Counter[str]()
    for part in MODULES.split("\n### ")[1:]:
        folder = part.split("`")[1].removeprefix("messageflow/")
        found.update(f"{folder}{name}.py" for name in LINE.findall(part))
    return found


def present() -> set[str]:
    """Return the modules that there are, but for the empty ones that only make a package."""
    return {
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        if path.stem != "__init__" or ast.parse(path.read_text()).body
    }


def test_every_module_is_there_once() -> None:
    assert listed() == Counter(present())


def test_every_module_of_the_client_is_there_once() -> None:
    assert LINE.findall(CLIENT) == sorted(path.stem for path in (ROOT / "client" / "src").glob("*.ts"))


def test_modules_are_in_order() -> None:
    for part in MODULES.split("\n### ")[1:]:
        names = [name for name in LINE.findall(part) if name != "__init__"]
        assert names == sorted(names)


def test_every_package_is_there_once() -> None:
    packages = re.findall(r"^### `([\w/]+)/`$", MODULES, re.MULTILINE)
    here = {Path("messageflow", name).parent.as_posix() for name in present()}
    assert sorted(name if name == "messageflow" else f"messageflow/{name}" for name in packages) == sorted(here)


def test_what_comes_before_is_two_pages() -> None:
    assert re.findall(r"^## (.*)$", HOUSE, re.MULTILINE) == [
        "The picture",
        "The way of a connect",
        "The way of a publish",
        "The way of a recovery",
        "The way of a page's word",
        "Words",
    ]
    assert len(HOUSE.splitlines()) <= 130


def test_no_word_is_explained_twice() -> None:
    words = re.findall(r"^\| ([^|]+) \|", HOUSE.split("\n## Words\n")[1], re.MULTILINE)
    assert all(count == 1 for count in Counter(words).values())


def test_the_modules_that_are_named_before_exist() -> None:
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", HOUSE):
        assert (SRC / f"{name.replace('.', '/')}.py").is_file(), name
