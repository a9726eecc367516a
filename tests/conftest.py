"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take SIGINT as a person at a terminal does: what a shell starts behind its back ignores it, and so would all
    that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
