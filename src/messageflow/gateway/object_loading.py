"""Finds what a person names as `module:attribute`, for `run` and for hooks.

As uvicorn and gunicorn have it; `module:factory()` calls the factory. What is wrong with a name is said with the
nearest one that would be right.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from messageflow.errors import ConfigurationError


def load_object(target: str, usual_names: Sequence[str], directory: Path | None = None) -> object:
    """Return the object named by `module:attribute` or `module:factory()`.

    Without an attribute the usual names are tried.

    Args:
        target: what was typed.
        usual_names: tried where it names no attribute, in this order; the first is suggested. Without any, the
            module itself is what is named.
        directory: searched before the rest of the path; otherwise the current one.

    Raises:
        ConfigurationError: there is no such module or attribute; the message suggests the nearest one.
    """
    directory = directory or current_directory()
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    name, _, path = target.partition(":")
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        attribute = path or next(iter(usual_names), "")
        raise ConfigurationError(f"{name!r} is a file; give the module: {f'{dotted}:{attribute}'.rstrip(':')}")
    module = _import(name, directory)
    if not (path or usual_names):
        return module
    if not path:
        path = next((usual for usual in usual_names if hasattr(module, usual.removesuffix("()"))), usual_names[0])
    found: Any = module
    for part in path.removesuffix("()").split("."):
        found = _get_attribute(found, part, name)
    return found() if path.endswith("()") else found


def current_directory() -> Path:
    """Return the current directory.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigurationError(
            f"the current directory cannot be used ({error.strerror}): change to the one where the application is"
        ) from None


def _import(name: str, directory: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(f"{name!r} is not the name of a module; write module:app")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not, and its traceback says where
        hint = _suggest(error.name, [path.stem for path in directory.iterdir() if path.suffix in ("", ".py")])
        raise ConfigurationError(f"there is no module {error.name!r} in {directory} or on the path{hint}") from None


def _get_attribute(owner: object, name: str, module: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        hint = _suggest(name, [each for each in dir(owner) if not each.startswith("_")])
        raise ConfigurationError(f"there is no {name!r} in the module {module!r}{hint}") from None


def _suggest(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
