"""Each end of a connection is told once, and each change of a channel, whichever node dies and how."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.brokers.redis.servers import Server
from tests.gateway.test_hooks_in_process import Page
from tests.support import Running, running
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

APPLICATION = """
import os
from messageflow import Flow

flow = Flow()

def note(*words):
    with open(os.environ["NOTES"], "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

@flow.on_connect
def come(event):
    note("connect", event.user, event.client)

@flow.on_disconnect
def gone(event):
    note("disconnect", event.user, event.client)

@flow.on_occupied("open:*")
def occupied(event):
    note("occupied", event.channel)

@flow.on_vacated("open:*")
def vacated(event):
    note("vacated", event.channel)

@flow.rpc("worker")
async def worker(event):
    return os.getpid()
"""
CONFIG = '[[channel.namespaces]]\nname = "open"\nallow_subscribe_for_client = true\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "noting.py").write_text(APPLICATION)
    (tmp_path / "messageflow.toml").write_text(CONFIG)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    return tmp_path


async def happens(condition: Callable[[], object]) -> None:
    """Return once a condition holds; pages live on meanwhile. Over Redis a death is seen within a minute."""
    await asyncio.to_thread(wait_until, condition, 120)


def notes(project: Path) -> list[list[str]]:
    path = project / "notes"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def ends(project: Path) -> Counter[str]:
    return Counter(words[2] for words in notes(project) if words[0] == "disconnect")


def changes(project: Path, channel: str) -> list[str]:
    return [words[0] for words in notes(project) if words[1] == channel]


async def enter(stack: AsyncExitStack, gateway: Running, user: str, *channels: str) -> tuple[Page, int]:
    """Return a page that is in, and in these channels, and the process it is connected to."""
    page = Page(gateway, user)
    await page.connect()
    await stack.enter_async_context(page.link)
    worker: int = (await page.ask(rpc={"method": "worker"}))["rpc"]["data"]
    for channel in channels:
        assert "subscribe" in await page.ask(subscribe={"channel": channel})
    return page, worker


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_worker_that_is_killed_leaves_no_ghost(project: Path, tmp_path: Path, stack: AsyncExitStack) -> None:
    command = ["serve", "--config", "messageflow.toml", "--hooks", "noting:flow", "--workers", "2"]
    with running(command, tmp_path / "data", cwd=project) as gateway:
        people: dict[int, list[Page]] = {}
        while len(people) < 2 or min(map(len, people.values())) < 2:
            page, worker = await enter(stack, gateway, f"user{sum(map(len, people.values()))}", "open:all")
            people.setdefault(worker, []).append(page)
            if len(people) < 2 and len(people[worker]) > 3:  # so that the next is the other's
                os.kill(worker, signal.SIGSTOP)
                page, other = await enter(stack, gateway, "other", "open:all", "open:own")
                os.kill(worker, signal.SIGCONT)
                people.setdefault(other, []).append(page)
        killed, survivor = people
        [first, *_] = people[killed]
        assert "subscribe" in await first.ask(subscribe={"channel": "open:killed"})
        await happens(lambda: changes(project, "open:killed") == ["occupied"])
        os.kill(killed, signal.SIGKILL)
        await happens(lambda: len(ends(project)) == len(people[killed]))
        await happens(lambda: changes(project, "open:killed") == ["occupied", "vacated"])
        assert changes(project, "open:all") == ["occupied"]
        for page in people[survivor]:
            await page.link.close()
        everybody = sum(map(len, people.values()))
        await happens(lambda: len(ends(project)) == everybody)
        await happens(lambda: changes(project, "open:all") == ["occupied", "vacated"])
    assert set(ends(project).values()) == {1}
    assert {words[2] for words in notes(project) if words[0] == "connect"} == set(ends(project))


async def test_at_the_end_of_a_gateway_everybody_is_told_of_once(
    project: Path, tmp_path: Path, stack: AsyncExitStack
) -> None:
    command = ["serve", "--config", "messageflow.toml", "--hooks", "noting:flow", "--workers", "2", "--drain-time", "0"]
    with running(command, tmp_path / "data", cwd=project) as gateway:
        for number in range(6):
            await enter(stack, gateway, f"user{number}", "open:all")
        assert changes(project, "open:all") == ["occupied"]
        await asyncio.to_thread(gateway.terminate)
    assert list(ends(project).values()) == [1] * 6
    assert changes(project, "open:all") == ["occupied", "vacated"]


@pytest.fixture
def three(own_server: Server, project: Path, tmp_path: Path) -> Iterator[list[Running]]:
    """They ping seldom: the pages here answer no pings, and are to outlive a death that is seen within a minute."""
    command = ["serve", "--config", "messageflow.toml", "--hooks", "noting:flow", "--broker", own_server.url]
    command += ["--ping-interval", "10m"]
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(command, tmp_path / name, cwd=project)) for name in ("one", "other", "frozen")
        ]


@pytest.mark.timeout(300)  # two leases, one after the other
async def test_over_redis_a_gateway_that_is_killed_or_stands_still_leaves_no_ghost(
    project: Path, three: list[Running], stack: AsyncExitStack
) -> None:
    killed, survivor, frozen = three
    for number, gateway in enumerate((killed, survivor, killed, survivor)):
        await enter(stack, gateway, f"user{number}", "open:all")
    await enter(stack, killed, "alice", "open:killed")
    stays, _ = await enter(stack, frozen, "stays", "open:all", "open:frozen")
    leaves, _ = await enter(stack, frozen, "leaves", "open:all")
    await happens(lambda: changes(project, "open:killed") == changes(project, "open:frozen") == ["occupied"])
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        killed.kill()
        await happens(lambda: len(ends(project)) == 5)
        await happens(lambda: changes(project, "open:killed") == changes(project, "open:frozen"))
        assert changes(project, "open:frozen") == ["occupied", "vacated"]
        leaves.link.transport.abort()  # the gateway learns of it before it knows that it was taken for dead
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    await asyncio.wait_for(stays.link.wait_closed(), 30)
    assert stays.link.close_code == 3001  # it comes back
    assert changes(project, "open:all") == ["occupied"]
    for gateway in (frozen, survivor):
        assert await asyncio.to_thread(gateway.terminate) == 0
    assert len(ends(project)) == 7
    assert set(ends(project).values()) == {1}
    assert changes(project, "open:all") == ["occupied", "vacated"]
    assert changes(project, "open:frozen") == ["occupied", "vacated"]
