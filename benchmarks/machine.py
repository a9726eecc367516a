"""The machine and the versions a figure was measured with, for the head of every report.

Reads what the system says about itself, and times one loop; never starts a server.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import timeit
from importlib import metadata
from pathlib import Path

PACKAGES = ("messageflow", "uvicorn", "uvloop", "httptools", "websockets", "msgspec", "PyJWT", "starlette")


def describe() -> dict[str, str]:
    """The facts of this machine, in the order to print them."""
    return {
        "cpu": f"{cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": f"{platform.python_version()}, pace {pace():.1f} ms",
        "packages": ", ".join(f"{name} {version}" for name in PACKAGES if (version := package_version(name))),
        "nginx": _first_match(["nginx", "-v"], r"nginx/(\S+)"),
        "nchan": _first_match(["dpkg-query", "-W", "libnginx-mod-nchan"], r"\s(\S+)"),
        "redis": _first_match(["redis-server", "--version"], r"v=(\S+)"),
        "wrk": _first_match(["wrk", "-v"], r"wrk \S*?(\d\S*)"),
        "gcc": _first_match(["gcc", "-dumpfullversion"], r"(\S+)"),
    }


def cpu_model(cpuinfo: str | None = None) -> str:
    """The processor's name as the kernel knows it.

    Args:
        cpuinfo: the text of /proc/cpuinfo; read from there if None.
    """
    text = Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def pace() -> float:
    """Milliseconds for a fixed loop of Python: a third of every CPU time hangs on how the interpreter was built."""
    return min(timeit.repeat("sum(i * i for i in range(100_000))", number=1, repeat=9)) * 1e3


def package_version(name: str) -> str:
    """The installed version of a Python package, or nothing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _first_match(command: list[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "missing"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
