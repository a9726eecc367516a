"""What clients tell the application: answered where they ask for it, and with a key handled once, come what may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest

from messageflow.core.reservations import Reservation
from messageflow.errors import BrokerError, Refuse
from messageflow.hub.hook_limits import HookLimits
from messageflow.hub.hooks import ClientEvent, Hooks
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.waiting import until

send_command = import_module("messageflow.hub.commands.send")  # the package has a function of its name


class Application:
    """Handles what clients send, each when the test lets it.

    Attributes:
        begun: what it began to handle, in order.
        ended: what it has handled.
        go: whether it goes on.
    """

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.go = asyncio.Event()
        self.go.set()

    async def event(self, event: ClientEvent) -> None:
        self.begun.append(event.value)
        await self.go.wait()
        match event.value:
            case "refused":
                raise Refuse(1042, "not today")
            case "later":
                raise Refuse(1043, "later", temporary=True)
            case "broken":
                raise RuntimeError("a bug")
            case "go away":
                raise Refuse(4001, "go away")
        self.ended.append(event.value)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def make(application: Application) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    made: list[World] = []

    async def make(limits: Limits | None = None, **more: Any) -> World:
        world = World(limits, hooks=Hooks(event=application.event), **more)
        made.append(world)
        await world.hub.start()
        return world

    yield make
    application.go.set()
    for world in made:
        await world.close()


@pytest.fixture
async def world(make: Callable[..., Awaitable[World]]) -> World:
    world = await make()
    world.clock.advance(60)  # it has been there for a while
    return world


async def tell(connection: MemoryConnection, number: int, data: Any, **more: Any) -> Any:
    """Send, and return what the reply says: `{}`, or the code of the error."""
    connection.send({"id": number, "send": {"data": data, **more}})
    return await answer(connection, number)


async def answer(connection: MemoryConnection, number: int) -> Any:
    await until(lambda: connection.replies(number) or connection.closed)
    if connection.closed:
        return connection.closed.code
    [reply] = connection.replies(number)
    return reply["error"]["code"] if "error" in reply else reply["send"]


async def test_one_with_an_id_is_answered_once_it_was_handled(world: World, application: Application) -> None:
    connection = await world.connected("alice")
    application.go.clear()
    connection.send({"id": 2, "send": {"data": 1}})
    await until(lambda: application.begun == [1])
    assert connection.replies(2) == []
    application.go.set()
    assert await answer(connection, 2) == {}
    assert [await tell(connection, 3 + n, each) for n, each in enumerate(("refused", "broken"))] == [1042, 100]


async def test_they_are_handled_in_the_order_in_which_they_came(world: World, application: Application) -> None:
    connection = await world.connected("alice")
    connection.send(*[{"id": 2 + n, "send": {"data": n, "key": f"k{n}"}} for n in range(50)])
    assert await answer(connection, 51) == {}
    assert application.ended == list(range(50))


async def test_a_key_is_handled_once_and_answered_each_time(world: World, application: Application) -> None:
    connection = await world.connected("alice")
    assert await tell(connection, 2, "a", key="k") == {}
    assert await tell(connection, 3, "a", key="k", age=50) == {}
    assert await tell(await world.connected("alice"), 2, "a", key="k", age=70) == {}
    assert application.ended == ["a"]
    assert await tell(await world.connected("bob"), 2, "b", key="k") == {}
    assert application.ended == ["a", "b"]
    assert (world.hub.counters.sends_repeated, world.hub.counters.sends_unknown) == (2, 0)


@pytest.mark.parametrize(("data", "code"), [("refused", 1042), ("broken", 100)])
async def test_a_refusal_and_a_failure_are_an_outcome_too(
    world: World, application: Application, data: str, code: int
) -> None:
    connection = await world.connected("alice")
    assert [await tell(connection, number, data, key="k") for number in (2, 3)] == [code, code]
    assert application.begun == [data]


async def test_what_may_be_tried_again_is(world: World, application: Application) -> None:
    connection = await world.connected("alice")
    assert [await tell(connection, number, "later", key="k") for number in (2, 3)] == [1043, 1043]
    assert application.begun == ["later", "later"]


async def test_a_refusal_that_ends_the_connection_ends_one(world: World, application: Application) -> None:
    assert await tell(await world.connected("alice"), 2, "go away", key="k") == 4001
    again = await world.connected("alice")
    assert await tell(again, 2, "go away", key="k", age=5) == 4001
    assert again.closed is None
    assert application.begun == ["go away"]


async def test_who_comes_back_while_it_is_handled_waits_for_the_end(world: World, application: Application) -> None:
    application.go.clear()
    first = await world.connected("alice")
    first.send({"id": 2, "send": {"data": "a", "key": "k"}}, {"id": 3, "send": {"data": "b", "key": "l"}})
    await until(lambda: application.begun == ["a"])
    first.lose()
    second = await world.connected("alice")
    second.send(
        {"id": 2, "send": {"data": "a", "key": "k", "age": 10}},
        {"id": 3, "send": {"data": "b", "key": "l", "age": 10}},
    )
    await until(lambda: world.hub.counters.sends_repeated == 1)
    assert (application.ended, second.replies(2)) == ([], [])
    application.go.set()
    assert [await answer(second, number) for number in (2, 3)] == [{}, {}]
    assert application.ended == ["a", "b"]


async def test_one_that_waits_too_long_is_told_that_nobody_knows(
    make: Callable[..., Awaitable[World]], application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_command, "GRACE", -1.0)
    world = await make(Limits(hooks=HookLimits(hook_timeout=0.05)))
    await world.broker.reserve("alice", "k")  # as another node would that does not come to an end
    assert await tell(await world.connected("alice"), 2, "a", key="k", age=10) == 113
    assert (application.begun, world.hub.counters.sends_unknown) == ([], 1)


async def test_what_a_worker_that_died_had_begun_is_not_repeated(world: World, application: Application) -> None:
    world.broker.reserve_now("another worker", "alice", "k", None)
    world.broker.forget_node("another worker")
    connection = await world.connected("alice")
    assert await tell(connection, 2, "a", key="k", age=10) == 113
    assert application.begun == []


async def test_what_may_have_been_sent_to_a_gateway_before_this_is_not_repeated(
    make: Callable[..., Awaitable[World]], application: Application
) -> None:
    world = await make()
    connection = await world.connected("alice")
    assert await tell(connection, 2, "a", key="k", age=100) == 113
    assert await tell(connection, 3, "a", key="l") == {}
    world.clock.advance(60)
    assert await tell(connection, 4, "b", key="m", age=100) == {}
    assert application.ended == ["a", "b"]


async def test_without_the_broker_nothing_is_handled(
    world: World, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: Any) -> Reservation:
        raise BrokerError("away")

    connection = await world.connected("alice")
    monkeypatch.setattr(world.broker, "reserve", fail)
    assert await tell(connection, 2, "a", key="k") == 100
    before = len(connection.written)
    connection.send({"send": {"data": "a", "key": "k"}})
    await world.settle()
    assert (application.begun, connection.closed, len(connection.written)) == ([], None, before)


async def test_an_outcome_that_cannot_be_stored_is_told_all_the_same(
    world: World, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: Any) -> None:
        raise BrokerError("away")

    monkeypatch.setattr(world.broker, "settle", fail)
    assert await tell(await world.connected("alice"), 2, "a", key="k") == {}
    assert application.ended == ["a"]


async def test_an_outcome_is_stored_once_the_broker_takes_it(
    world: World, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, failures = world.broker.settle, [BrokerError("away")] * 3

    async def fail_at_first(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await settle(*arguments)

    monkeypatch.setattr(world.broker, "settle", fail_at_first)
    monkeypatch.setattr(send_command, "FIRST_LOOK", 0.001)
    alice = await world.connected("alice")
    assert await tell(alice, 2, "refused", key="k") == 1042
    assert await tell(alice, 3, "a", key="other") == {}
    again = await world.connected("alice")
    again.send({"id": 2, "send": {"data": "refused", "key": "k", "age": 1}})
    await until(lambda: again.replies(2))
    assert again.replies(2)[0]["error"]["code"] == 1042
    assert application.begun == ["refused", "a"]


@pytest.mark.parametrize(("data", "attempts"), [("a", 3), ("later", 1)])
async def test_an_outcome_is_not_stored_for_ever_and_what_may_be_reserved_anew_not_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, data: str, attempts: int
) -> None:
    tried: list[Any] = []

    async def fail(*arguments: Any) -> None:
        tried.append(arguments)
        raise BrokerError("away")

    monkeypatch.setattr(world.broker, "settle", fail)
    monkeypatch.setattr(send_command, "FIRST_LOOK", 0.001)
    monkeypatch.setattr(send_command, "SETTLES", attempts - 1)
    await tell(await world.connected("alice"), 2, data, key="k")
    await until(lambda: [record.msg for record in caplog.records] == ["outcome_not_stored"])
    assert len(tried) == attempts


async def test_what_has_begun_ends_before_the_hub_does(
    make: Callable[..., Awaitable[World]], application: Application
) -> None:
    world = await make()
    application.go.clear()
    connection = await world.connected("alice")
    connection.send({"id": 2, "send": {"data": "a", "key": "k"}})
    await until(lambda: application.begun == ["a"])
    closing = asyncio.ensure_future(world.hub.close())
    await until(lambda: connection.closed)
    application.go.set()
    await closing
    assert application.ended == ["a"]


async def test_a_flood_is_answered_and_leaves_nothing(
    make: Callable[..., Awaitable[World]], application: Application
) -> None:
    world = await make(Limits(commands_per_second=1, channels_per_connection=1))
    connection = await world.connected("alice")
    most = 300  # commands at once
    for number in range(2, 2 + 2 * most):
        connection.send({"id": number, "send": {"data": 1, "key": f"k{number}"}})
        await world.settle()
        if connection.closed:
            break
    codes = [reply["error"]["code"] for reply in connection.written if "error" in reply]
    assert set(codes) == {111}
    assert len(codes) >= most - 1
    assert connection.closed is not None
    assert connection.closed.code == 3013
    assert len(application.ended) == most - 1
    assert world.broker.statistics()["reservations"] == most - 1


@pytest.mark.parametrize("fields", [{"key": "k" * 129}, {"key": 5}, {"key": "k", "age": -1}, {"key": "k", "age": "1"}])
async def test_a_bad_key_is_refused_by_itself(world: World, application: Application, fields: dict[str, Any]) -> None:
    connection = await world.connected("alice")
    assert await tell(connection, 2, "a", **fields) == 107
    assert (application.begun, connection.closed) == ([], None)
