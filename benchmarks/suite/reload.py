"""Reloading in development: from a file that is written to the pages that were open and are back."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from benchmarks.figures import Figure, at_most
from benchmarks.pages import Page, Pages, PagesFailed
from benchmarks.plan import Plan
from benchmarks.servers.base import Server, running

PAGES = 20
WAIT_SECONDS = 20.0
LOOK_EVERY = 0.01
SOURCE = "shop.py"
APPLICATION = """
from flask import Flask
from messageflow import Flow

app, flow = Flask(__name__), Flow()

@app.route("/version")
def version():
    return "{version}"
"""
METHOD = (
    f"`messageflow run --reload` of a small Flask application with {PAGES} open pages, which wait as the browser "
    "client does before they come back. The source is written anew; seconds from then until the last page was told to "
    "go, until a request is answered by the new code, and until the last page is back. All have to come back."
)


class Sample(NamedTuple):
    """One reload: seconds from the change."""

    told: float
    answered: float
    back: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    one, two = plan.alternate(one=lambda: sample(plan, PAGES), two=lambda: sample(plan, PAGES, workers=2))
    return [
        Figure("reload, last page told to go", "s", tuple(each.told for each in one)),
        Figure("reload, the new code answers", "s", tuple(each.answered for each in one)),
        Figure("reload, last page back", "s", tuple(each.back for each in one), targets=(at_most(2),)),
        Figure("reload, last page back, two workers", "s", tuple(each.back for each in two)),
    ]


def sample(plan: Plan, count: int, workers: int = 1) -> Sample:
    """Change a file under open pages.

    Raises:
        PagesFailed: a page did not come back, or the new code never answered.
    """
    server = reloading(plan, workers)
    with running(server, plan.scratch), asyncio.Runner() as runner:
        pages = Pages(Page(number, server.port) for number in range(count))
        sample = runner.run(change(server, pages))
        runner.run(pages.leave())
        return sample


def reloading(plan: Plan, workers: int) -> Server:
    """An application of its own under `run --reload`."""
    ours = plan.ours(plan.scratch)
    directory = Path(tempfile.mkdtemp(prefix="shop-", dir=plan.scratch))
    (directory / SOURCE).write_text(APPLICATION.format(version=1))
    serve = ours.command.index("serve")
    flags = (*ours.command[serve + 1 :], "--workers", str(workers))
    command = (*ours.command[:serve], "run", "shop:app", "--reload", *flags)
    return replace(ours, command=command, directory=directory)


async def change(server: Server, pages: Pages) -> Sample:
    """Write the source anew, and wait until all is as it was."""
    assert server.directory is not None
    await asyncio.to_thread(until_answered, server.port, "1")
    await pages.come()
    for page in pages.all:
        page.returns = True
    await asyncio.sleep(1)  # a person does not write in the moment in which it starts
    changed = time.monotonic()
    (server.directory / SOURCE).write_text(APPLICATION.format(version=2))
    await asyncio.to_thread(until_answered, server.port, "2")
    answered = time.monotonic()
    await pages.until(lambda page: page.connected_at > changed, WAIT_SECONDS, "back")
    told = max(page.closed_at for page in pages.all)
    back = max(page.connected_at for page in pages.all)
    return Sample(told - changed, answered - changed, back - changed)


def until_answered(port: int, version: str) -> None:
    """Ask until this version of the code answers.

    Raises:
        PagesFailed: it never does.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/version", timeout=WAIT_SECONDS) as response:
                if response.read().decode() == version:
                    return
        except OSError:
            pass
        time.sleep(LOOK_EVERY)
    raise PagesFailed(f"version {version} of the code does not answer after {WAIT_SECONDS:.0f} s")
