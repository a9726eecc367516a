"""Which channels have subscribers: told once over all nodes, in order, whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from messageflow.errors import BrokerError
from messageflow.hub import occupancy
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.hooks import ChannelNotice, Hooks
from messageflow.hub.limits import Limits
from messageflow.hub.occupancy import Occupancy
from messageflow.hub.runtime import Runtime
from messageflow.testing.clock import ManualClock
from tests.hub.conftest import World
from tests.waiting import until


class Wire:
    """What nodes say, in one order for all, some turns of the loop later. `broken`: it says nothing."""

    def __init__(self) -> None:
        self.nodes: list[Occupancy] = []
        self.broken = False

    async def send_control(self, message: bytes) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise BrokerError("away")
        asyncio.get_running_loop().call_soon(self._deliver, message)

    def _deliver(self, message: bytes) -> None:
        for node in self.nodes:
            node.receive(message)

    async def survey(self, question: bytes) -> list[bytes]:
        await asyncio.sleep(0)
        if self.broken:
            raise BrokerError("away")
        answers = [node.answer(b"") for node in self.nodes]
        await asyncio.sleep(0)
        return answers


class Town:
    """Several nodes and one application that notes what each tells it."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.told: list[tuple[str, str]] = []
        self.runtimes: list[Runtime] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def node(self, name: str, *, shared: bool = True) -> Occupancy:
        async def occupied(notice: ChannelNotice) -> None:
            await self.gate.wait()
            self.told.append((f"+{notice.channel}", name))

        async def vacated(notice: ChannelNotice) -> None:
            await self.gate.wait()
            self.told.append((f"-{notice.channel}", name))

        runtime = Runtime(Limits(), ManualClock(), ManualClock())
        self.runtimes.append(runtime)
        hooks = HookCalls(runtime, Hooks(occupied=occupied, vacated=vacated))
        node = Occupancy(runtime, self.wire, hooks, name, shared=shared)
        self.wire.nodes.append(node)
        return node

    @property
    def changes(self) -> list[str]:
        return [change for change, _ in self.told]

    async def settle(self) -> None:
        """Let everything that was begun end."""
        for _ in range(100):
            await asyncio.sleep(0)
        await until(lambda: not any(runtime.tasks for runtime in self.runtimes))

    async def kill(self, node: Occupancy) -> None:
        self.wire.nodes.remove(node)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = Town()
    yield made
    await made.settle()


async def test_a_node_alone_tells_the_first_and_the_last(town: Town) -> None:
    node = town.node("a", shared=False)
    for occupied in (True, True, False, False, True):
        node.note("news:eu", occupied=occupied)
        await town.settle()
    for own in ("#alice", "*", "!nodes"):
        node.note(own, occupied=True)
    await town.settle()
    assert town.changes == ["+news:eu", "-news:eu", "+news:eu"]


async def test_what_undoes_itself_while_the_application_is_busy_is_not_told(town: Town) -> None:
    node = town.node("a", shared=False)
    town.gate.clear()
    node.note("x", occupied=True)
    await asyncio.sleep(0.01)
    for occupied in (False, True, False, True, False):
        node.note("x", occupied=occupied)
    town.gate.set()
    await town.settle()
    assert town.changes == ["+x", "-x"]


async def test_over_nodes_the_first_and_the_last_are_told_once(town: Town) -> None:
    one, other = town.node("a"), town.node("b")
    for node in (one, other):
        node.note("x", occupied=True)
    await town.settle()
    assert town.changes == ["+x"]
    one.note("x", occupied=False)
    await town.settle()
    assert town.changes == ["+x"]
    other.note("x", occupied=False)
    await town.settle()
    assert town.told[1:] == [("-x", "b")]
    for node in (one, other):
        node.note("y", occupied=True)
    for node in (one, other):
        node.note("y", occupied=False)
    await town.settle()
    assert town.changes[2:] in ([], ["+y", "-y"]), "nobody came as far as others saw, or both"


async def test_a_node_that_comes_later_knows_who_was_there(town: Town) -> None:
    town.node("a").note("x", occupied=True)
    await town.settle()
    late = town.node("b")
    late.note("x", occupied=True)
    late.note("y", occupied=True)
    await town.settle()
    assert town.told == [("+x", "a"), ("+y", "b")]


async def test_the_channels_of_a_node_that_died_are_vacated_by_one(town: Town) -> None:
    dying, first, second = town.node("c"), town.node("a"), town.node("b")
    for channel in ("x", "y"):
        dying.note(channel, occupied=True)
    for node in (first, second):
        node.note("y", occupied=True)
    await town.settle()
    town.told.clear()
    await town.kill(dying)
    first.tell_vacated(first.bury("c"))
    second.bury("c")
    await town.settle()
    assert town.told == [("-x", "a")]


async def test_a_node_that_was_taken_for_dead_says_again_what_it_has(town: Town) -> None:
    alive, other = town.node("b"), town.node("a")
    alive.note("x", occupied=True)
    other.note("y", occupied=True)
    await town.settle()
    other.tell_vacated(other.bury("b"))
    alive.revive()
    await town.settle()
    alive.note("x", occupied=False)
    await town.settle()
    assert [change for change in town.changes if "x" in change] == ["+x", "-x", "+x", "-x"]


async def test_in_doubt_all_are_asked_before_anything_is_decided(town: Town) -> None:
    one, other = town.node("a"), town.node("b")
    one.note("x", occupied=True)
    other.note("y", occupied=True)
    await town.settle()
    other.note("x", occupied=True)
    one.doubt()
    other.doubt()
    await town.settle()
    one.note("x", occupied=False)
    await town.settle()
    other.note("x", occupied=False)
    await town.settle()
    assert [change for change in town.told if "x" in change[0]] == [("+x", "a"), ("-x", "b")]


async def test_what_could_not_be_said_is_said_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "RETRY", 0.001)
    node = town.node("a")
    town.wire.broken = True
    node.note("x", occupied=True)
    await asyncio.sleep(0.02)
    assert town.changes == []
    town.wire.broken = False
    await town.settle()
    assert town.changes == ["+x"]
    town.wire.broken = True
    node.note("x", occupied=False)
    await asyncio.sleep(0.01)
    await node.settle()
    await town.settle()
    assert town.changes == ["+x"], "a node that ends does not wait without end"


async def test_a_node_that_ends_tells_the_last_of_its_channels(town: Town) -> None:
    node = town.node("a")
    node.note("x", occupied=True)
    await town.settle()
    node.note("x", occupied=False)
    await node.settle()
    await town.settle()
    assert town.changes == ["+x", "-x"]


async def test_the_application_is_told_of_a_hub_s_channels() -> None:
    told: list[str] = []

    async def occupied(notice: ChannelNotice) -> None:
        told.append(f"+{notice.channel}")

    async def vacated(notice: ChannelNotice) -> None:
        told.append(f"-{notice.channel}")

    world = World(hooks=Hooks(occupied=occupied, vacated=vacated))
    await world.hub.start()
    one, other = await world.connected("alice"), await world.connected("bob")
    commands: list[tuple[Any, str]] = [(one, "subscribe"), (other, "subscribe"), (one, "unsubscribe")]
    for number, (connection, method) in enumerate(commands, 2):
        connection.send({"id": number, method: {"channel": "open:x"}})
        await until(lambda number=number, connection=connection: connection.replies(number))  # type: ignore[misc]
    await until(lambda: told)
    assert told == ["+open:x"]
    await world.close()
    assert told == ["+open:x", "-open:x"]
