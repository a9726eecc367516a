"""Programs as users have them, each run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import messageflow

GREENLETS = """
import sys
from gevent import monkey
monkey.patch_all()
import gevent
from messageflow import Flow

flow = Flow(sys.argv[1])
turns = []

def work(number):
    for turn in range(5):
        turns.append(number)
        flow.push(f"user{number}", "t", turn)

gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True, timeout=20)
print(len(turns), turns != sorted(turns))
"""

CHILDREN = """
import ctypes, os, random, sys
from messageflow.publisher import requests
from messageflow.publisher.retry import Retry
from messageflow.publisher.error_texts import describe_gateway
from messageflow.client_io.outcome import NoResponse

fork = ctypes.PyDLL(None).fork  # as uWSGI forks: without a word to Python

def in_children(work):
    reader, writer = os.pipe()
    children = []
    for number in range(3):
        child = fork()
        if child == 0:
            status = 1
            try:
                retry = Retry(describe_gateway("x"), stores=True, timeout=60, now=0)
                drawn = (requests.make_key(), retry.decide_pause(NoResponse("no"), 0.0))
                status = 0 if all(work(f"child{number}", turn) for turn in range(1, 101)) else 2
                os.write(writer, "{}\\n{}\\n".format(*drawn).encode())
            finally:
                os._exit(status)
        children.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(writer)
    print(ended, len(set(os.read(reader, 65536).split(b"\\n"))) - 1)
"""

FORKED_IN_C = (
    CHILDREN
    + """
from messageflow import Flow

flow = Flow(sys.argv[1])
flow.push("parent", "at/import")

def work(user, turn):
    receipt = flow.push(user, "t", turn)
    return (receipt.channel, receipt.offset) == (f"#{user}", turn)

in_children(work)
assert flow.push("parent", "t").offset == 2
"""
)

FORKED_IN_C_TO_AWAIT = (
    CHILDREN
    + """
import asyncio
from messageflow import AsyncFlow

flow = AsyncFlow(sys.argv[1])
loop = asyncio.new_event_loop()
loop.run_until_complete(flow.push("parent", "at/import"))
loop.run_until_complete(loop.shutdown_default_executor())  # a process with threads cannot be forked like this
runners = []

def work(user, turn):
    runners.append(asyncio.Runner()) if not runners else None
    receipt = runners[0].run(flow.push(user, "t", turn))
    return (receipt.channel, receipt.offset) == (f"#{user}", turn)

in_children(work)

async def once_more():
    async with flow:
        return await flow.push("parent", "t")

assert asyncio.run(once_more()).offset == 2
loop.run_until_complete(flow.close())
loop.close()
"""
)


def run(program: str, *arguments: object, warnings: str = "error") -> str:
    """Run a program to its good end and return what it printed. A warning counts as an error."""
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(Path(messageflow.__file__).parent.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()
