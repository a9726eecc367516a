"""Planted bugs: one changed place in the code each, and the tests that must notice it.

They are data, in `areas/*.toml`, one file an area of the code. Pure but for reading those files.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
AREAS = Path(__file__).parent / "areas"


class Planted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bug.

    Args:
        name: what goes wrong with it, in a few words; no two have the same.
        file: where it is, from the root of the repository.
        old: what stands there; it stands there once.
        new: what it becomes.
        killed_by: the test that must fail then: an argument of pytest, or a file under `client/tests`.
        survives: why no test kills it, for one that is known to survive; empty otherwise.
    """

    name: str
    file: str
    old: str
    new: str
    killed_by: str
    survives: str = ""

    @property
    def in_client(self) -> bool:
        """Whether the browser client's own tests are to kill it."""
        return self.killed_by.startswith("client/")

    def applied(self, source: str) -> str:
        """Return the source with the bug.

        Raises:
            ValueError: the place is not there, or not once, or nothing changes.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: in {self.file} its place is found {source.count(self.old)} times, not once")
        if self.old == self.new:
            raise ValueError(f"{self.name}: changes nothing")
        return source.replace(self.old, self.new)


class _Area(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    planted: list[Planted]


def areas() -> dict[str, list[Planted]]:
    """Return the planted bugs of each area, by its name.

    Raises:
        msgspec.ValidationError: an entry lacks something, or has something nobody reads.
    """
    return {
        path.stem: msgspec.convert(tomllib.loads(path.read_text()), _Area).planted
        for path in sorted(AREAS.glob("*.toml"))
    }
