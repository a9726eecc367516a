"""The gateway of another commit is really that commit's, or the run says why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.servers.commit import at_commit
from benchmarks.tools import Unavailable


def test_the_sources_of_the_commit_come_before_those_of_today(tmp_path: Path) -> None:
    server = at_commit("HEAD", tmp_path)(tmp_path)
    program = "import messageflow; print(messageflow.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(server.environment)
    )
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)


def test_a_commit_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-commit"):
        at_commit("no-such-commit", tmp_path)
