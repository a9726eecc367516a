"""Run the tests with the lowest and with the newest versions that pyproject.toml allows: `make floors`.

    python -m tests.installing.floors lowest|newest [what pytest is given]

Each in an environment of its own, .venv/lowest and .venv/newest, which stays. Outside of the common run, for it takes
as long as that does, twice. The second begins when the first has passed: what the lowest lack is told first.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests",
    "--ignore=tests/browser",
    "--ignore=tests/faults",
    "--ignore=tests/benchmarks",
    "--ignore=tests/mutants",
    "-n4",
    "--dist=loadfile",
)
# What else the tests use, in a version that goes with these: FastAPI as it was at the time of Starlette 0.40.
BESIDE = {"lowest": ["fastapi==0.115.12"], "newest": []}
REQUIREMENT = re.compile(r"(?P<name>[\w-]+)(?:\[\w+\])?>=(?P<floor>[\d.]+)(?P<cap>,<[\d.]+)?")


def requirements() -> Iterator[re.Match[str]]:
    """Yield what messageflow and its extras need, those for working on it aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["gateway"], *extras["redis"], *extras["demo"]):
        if not text.startswith(project["name"]):
            found = REQUIREMENT.match(text)
            assert found, f"{text} says no floor"
            yield found


def wanted(end: str) -> list[str]:
    """Return what pip is told to install for the `lowest` or the `newest` versions."""
    if end == "lowest":
        return [f"{each['name']}=={each['floor']}" for each in requirements()]
    return [f"{each['name']}>={each['floor']}{each['cap'] or ''}" for each in requirements()]


def environment(end: str) -> Path:
    """Make the environment, and return its Python."""
    directory = ROOT / ".venv" / end
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", ROOT / "requirements/dev.txt"], check=True)
    # Nothing else follows a library down or up: what else is there is the tests' own.
    subprocess.run([*pip, "--no-deps", "--upgrade", *wanted(end), *BESIDE[end]], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
    return python


def main(end: str, *arguments: str) -> int:
    """Run the tests, and return pytest's exit code."""
    python = environment(end)
    print(f"the {end}: {' '.join(wanted(end))}", flush=True)  # noqa: T201
    return subprocess.run([python, "-m", "pytest", "-q", *(arguments or TESTS)], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
