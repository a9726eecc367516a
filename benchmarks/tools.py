"""What the benchmarks need besides Python: C programs of ours, and nginx with Nchan, wrk, gcc and Redis from Debian.

Compiles and, where it may, installs. Never measures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "native"
BINARIES = HERE / "bin"  # git ignores it
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")  # where Debian's package puts it

DEBIAN_PACKAGES = {
    "gcc": ("gcc", "libc6-dev"),
    "wrk": ("wrk",),
    "nginx": ("nginx-light", "libnginx-mod-nchan"),
    "redis-server": ("redis-server",),
}


class Unavailable(Exception):
    """Something a benchmark needs is not on this machine; the message says how to get it."""


def require(program: str) -> str:
    """The path of a program, installed from Debian first if it is missing and this is root.

    Raises:
        Unavailable: it is missing and could not be installed.
    """
    if not _present(program):
        _install(program)
    return str(shutil.which(program))


def native(name: str) -> str:
    """The path of one of our C programs, compiled anew if its source is newer.

    Raises:
        Unavailable: there is no compiler, or it refused.
    """
    source, binary = SOURCES / f"{name}.c", BINARIES / name
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BINARIES.mkdir(exist_ok=True)
        command = [require("gcc"), "-O2", "-Wall", "-Wextra", "-o", str(binary), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{source.name} does not compile:\n{done.stderr}")
    return str(binary)


def _present(program: str) -> bool:
    return shutil.which(program) is not None and (program != "nginx" or NCHAN_MODULE.exists())


def _install(program: str) -> None:
    packages = DEBIAN_PACKAGES[program]
    advice = f"{program} is missing: apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(advice)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode or not _present(program):
        raise Unavailable(f"{advice}\n{done.stderr}")
