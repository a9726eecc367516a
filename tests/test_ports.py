"""Ports that tests are given: each to one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.ports import BUS, PORTS

ASK = "from tests.ports import free_port; print(*[free_port() for _ in range(100)])"
SYSTEM = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_processes_that_ask_at_once_are_given_different_ports() -> None:
    asking = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    given = [int(port) for each in asking for port in each.communicate(timeout=30)[0].split()]
    assert len(given) == len(set(given)) == 300


def test_the_system_gives_none_of_them() -> None:
    first, _ = map(int, SYSTEM.read_text().split())
    assert PORTS.stop + BUS <= first
    assert PORTS.start + BUS == PORTS.stop
