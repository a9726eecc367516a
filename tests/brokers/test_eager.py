"""Work that is begun where it is asked for: done at once where nothing waits, a task from where something does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from messageflow.brokers.base import Waiter, own_task
from messageflow.brokers.eager import InSteps, begin, resume, run_without_task, start_eagerly


class Steps:
    """Work that says how far it has come."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self.tasks.append(task)
        return task

    async def run(self, *awaited: asyncio.Future[None]) -> None:
        self.told.append("begun")
        try:
            for each in awaited:
                await each
                self.told.append("went on")
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        finally:
            self.told.append("ended")


def future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def waiter() -> Waiter:
    return Waiter(loop=asyncio.get_running_loop())


async def test_what_never_waits_is_done_at_once_and_no_task() -> None:
    steps = Steps()
    assert start_eagerly(steps.run(), steps.spawn) is None
    run_without_task(steps.run(), steps.spawn)
    assert steps.told == ["begun", "ended"] * 2
    assert steps.tasks == []


async def test_what_waits_is_a_task_from_there() -> None:
    steps, first, second = Steps(), future(), future()
    task = start_eagerly(steps.run(first, second), steps.spawn)
    assert steps.told == ["begun"]
    assert task is not None
    first.set_result(None)
    second.set_result(None)
    await task
    assert steps.told == ["begun", "went on", "went on", "ended"]


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_to_cancel_the_task_ends_the_work_where_it_waits(turns: int) -> None:
    steps = Steps()
    task = start_eagerly(steps.run(future()), steps.spawn)
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps.told == ["begun", "cancelled", "ended"]


async def test_an_error_of_what_is_waited_for_is_thrown_into_the_work() -> None:
    steps, first = Steps(), future()
    task = start_eagerly(steps.run(first), steps.spawn)
    assert task is not None
    first.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await task
    assert steps.told == ["begun", "ended"]


async def test_what_ends_itself_before_it_waits_is_no_error() -> None:
    async def leave() -> None:
        raise asyncio.CancelledError

    assert start_eagerly(leave(), Steps().spawn) is None


async def test_with_a_waiter_it_goes_on_in_the_step_that_ends_it() -> None:
    steps, first, second = Steps(), waiter(), waiter()
    run_without_task(steps.run(first, second), steps.spawn)
    first.end(None)
    assert steps.told == ["begun", "went on"]
    second.end(None)
    second.end(None)
    assert steps.told == ["begun", "went on", "went on", "ended"]
    assert steps.tasks == []


async def test_behind_a_waiter_it_may_become_a_task() -> None:
    steps, first, second = Steps(), waiter(), future()
    run_without_task(steps.run(first, second), steps.spawn)
    first.end(None)
    (task,) = steps.tasks
    second.set_result(None)
    await task
    assert steps.told == ["begun", "went on", "went on", "ended"]


async def test_an_error_of_a_waiter_is_thrown_into_the_work_and_nobody_else_hears_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps, first = Steps(), waiter()
    run_without_task(steps.run(first), steps.spawn)
    first.end(ZeroDivisionError())
    assert steps.told == ["begun", "ended"]
    assert "task_failed" in caplog.text


async def test_a_task_waits_for_a_waiter_as_for_any_future() -> None:
    steps, first = Steps(), waiter()
    task = asyncio.create_task(steps.run(first))
    await asyncio.sleep(0)
    first.end(None)
    await task
    assert steps.told == ["begun", "went on", "ended"]
    left = waiter()
    left.cancel()
    left.end(None)


async def test_who_needs_a_task_has_one_afterwards() -> None:
    found: list[object] = []

    async def work() -> None:
        found.append(asyncio.current_task())
        await own_task()
        found.append(asyncio.current_task())
        async with asyncio.timeout(10):
            await own_task()

    found.clear()
    task: list[asyncio.Task[None] | None] = []
    steps = Steps()
    asyncio.get_running_loop().call_soon(lambda: task.append(start_eagerly(work(), steps.spawn)))
    await asyncio.sleep(0)
    assert task[0] is not None
    await task[0]
    assert found == [None, task[0]]


async def test_begun_work_can_be_gone_on_with_in_another() -> None:
    steps, first = Steps(), future()
    work = steps.run(first)
    awaited = work.send(None)
    asyncio.get_running_loop().call_soon(first.set_result, None)
    await resume(work, awaited)
    assert steps.told == ["begun", "went on", "ended"]


async def test_what_has_ended_meanwhile_is_not_waited_for() -> None:
    steps, ended = Steps(), waiter()
    begun = begin(steps.run(ended))
    assert begun is not None
    ended.end(None)
    with pytest.raises(StopIteration):
        resume(*begun).send(None)  # and no turn of the loop
    assert steps.told == ["begun", "went on", "ended"]


async def test_each_step_may_be_taken_by_somebody_else() -> None:
    steps, first, second, taken = Steps(), future(), future(), list[str]()

    def take(step: Callable[..., object], *given: object) -> object:
        taken.append("taken")
        return step(*given)

    task = steps.spawn(InSteps(steps.run(first, second), take))
    await asyncio.sleep(0)
    first.set_result(None)
    second.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await task
    assert steps.told == ["begun", "went on", "ended"]
    assert taken == ["taken"] * 2  # what has ended already takes no step
