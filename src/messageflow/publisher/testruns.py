"""Whether this process runs tests: of pytest, of unittest, or of what is built on them, as Django's.

What an application pushes while it is tested must not arrive in the pages of its developer.
"""

from __future__ import annotations

import os
import sys

_UNITTEST = frozenset({"unittest.main", "unittest.suite", "unittest.case", "unittest.runner"})


def is_under_test() -> bool:
    """Whether a test is what is going on here. A process that a test has started is no test.

    `unittest` is imported by many a library, so that what counts is who is on a stack: of any thread, for what is
    tested may push from one of its own.
    """
    if "_pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ:
        return True
    for frame in sys._current_frames().values():
        at = frame
        while at is not None:
            name = str(at.f_globals.get("__name__", ""))
            if name in _UNITTEST or name.startswith("_pytest."):
                return True
            at = at.f_back  # type: ignore[assignment]
    return False
