"""Which project a program belongs to, and where the state of its development gateway is kept.

A person has many projects and each may have a development gateway of its own; none may find another's keys, streams or
port. So what `--dev` leaves is kept by project: the nearest directory, from the working directory upwards, that holds
one of `MARKERS`, and the working directory itself where none does.

A program looks from where it is upwards, to the root of its repository or project, and takes the first directory a
gateway was ever started for. Owns no file.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

MARKERS = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "Pipfile",
    "manage.py",
    "messageflow.toml",
    ".git",
    ".hg",
)
REPOSITORIES = (".git", ".hg")
STATE = "dev.json"  # there once a development gateway was started
_INSTALLED = ("bin", "scripts", "lib", "lib64", "libexec", "share")  # of an environment
_NAME_CHARACTERS = 20  # of a project in the name of its directory, for people


def find_data_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the directory of messageflow's own files, as MESSAGEFLOW_DATA_DIR or the XDG directories have it.

    None where that is not known, since this user has no home: then there is no development gateway of theirs.
    """
    environ = os.environ if environ is None else environ
    try:
        if own := environ.get("MESSAGEFLOW_DATA_DIR"):
            return Path(own).expanduser()
        if base := environ.get("XDG_DATA_HOME"):
            return Path(base) / "messageflow"
        return Path(environ.get("HOME") or Path.home()) / ".local" / "share" / "messageflow"
    except RuntimeError:
        return None


def locate_state_dir(environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Path | None:
    """Return where a development gateway that is started in a directory keeps its state.

    None where that is not known: this user has no home, or there is no such directory.

    Args:
        environ: the environment; a MESSAGEFLOW_DATA_DIR in it is taken as it is, whatever the project.
        directory: the working directory unless given.
    """
    environ = os.environ if environ is None else environ
    base = find_data_dir(environ)
    if base is None or environ.get("MESSAGEFLOW_DATA_DIR"):
        return base
    directory = directory or _find_working_directory()
    return None if directory is None else _locate_state(find_root(directory) or directory, base)


def find_state_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the state of the development gateway this program belongs to; None where there never was one."""
    environ = os.environ if environ is None else environ
    base = find_data_dir(environ)
    if base is None or environ.get("MESSAGEFLOW_DATA_DIR"):
        return base
    start = find_starting_point()
    candidates = () if start is None else (_locate_state(directory, base) for directory in _walk_up(start))
    return next((found for found in candidates if (found / STATE).is_file()), None)


def find_starting_point() -> Path | None:
    """Return the directory this program belongs to: its script's if that is of a project, else the working directory.

    A script of one project that is run from within another is still the one's; what a package installs is nobody's.
    """
    script = _find_script_directory()
    return script if script is not None and find_root(script) is not None else _find_working_directory()


def name_own_project() -> str:
    """Return the root of this program's project, for people; empty where its directory is gone."""
    start = find_starting_point()
    return "" if start is None else str(find_root(start) or start)


def find_root(directory: Path) -> Path | None:
    """Return the root of the project a directory belongs to, None where nothing marks one."""
    return next((each for each in _walk_below_home(directory) if _holds(each, MARKERS)), None)


def _walk_up(directory: Path) -> Iterator[Path]:
    """Yield the directories whose gateway is a program's own, the nearest first."""
    bound = next((each for each in _walk_below_home(directory) if _holds(each, REPOSITORIES)), None) or find_root(
        directory
    )
    for each in _walk_below_home(directory):
        yield each
        if each == bound:
            return


def _walk_below_home(directory: Path) -> Iterator[Path]:
    """Yield a directory and those above it, but for the home and what is above that: they are no project."""
    home = _find_home()
    yield directory
    for each in directory.parents:
        if each == home or (home is not None and each in home.parents) or each == Path(each.anchor):
            return
        yield each


def _holds(directory: Path, names: tuple[str, ...]) -> bool:
    return any(os.path.exists(directory / name) for name in names)


def _find_home() -> Path | None:
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None


def _find_working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def _find_script_directory() -> Path | None:
    """Return where the script lies that this process runs; None for a module, what is typed, and what is installed."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None:
        return None
    try:
        script = Path(file).resolve()
    except OSError:
        return None
    prefix = Path(sys.prefix).resolve()
    inside = script.relative_to(prefix).parts if script.is_relative_to(prefix) else ()
    installed = inside[:1] and inside[0].lower() in _INSTALLED
    return None if installed or "site-packages" in script.parts or not script.is_file() else script.parent


def _locate_state(root: Path, base: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return base / "projects" / f"{root.name[:_NAME_CHARACTERS]}-{digest}"
