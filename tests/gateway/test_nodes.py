"""Three gateways over one Redis are one gateway, also while a gateway, Redis, or the network between them fails."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from messageflow.errors import GatewayUnreachable, OutcomeUnknown
from tests.faults.proxy import DOWN, UP, Faults
from tests.gateway.nodes import DEADLINE, SECONDS, Page, Site, call, flow_for, trouble

LEASE = 20.0  # seconds, of a node
AWAY = 5.0  # seconds
INSUFFICIENT_STATE = 3010


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.stop()


@pytest.fixture
def site(running_site: Site) -> Site:
    """The site that all tests share, whole again whatever was done to it. Each test has users of its own."""
    running_site.revive()
    return running_site


async def opened(site: Site, user: str) -> list[Page]:
    """Return a page of a user at each gateway."""
    pages = [Page(gateway, user) for gateway in site.gateways]
    for page in pages:
        await page.open()
    return pages


async def close(pages: list[Page]) -> None:
    for page in pages:
        assert page.link.close_code is None
        await page.close()


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def kept(site: Site, user: str) -> list[object]:
    """Return all that was pushed to a user and is kept."""
    with flow_for(site.gateways[0]) as flow:
        return [publication.data["payload"] for publication in flow.history(f"#{user}", limit=1000).publications]


async def test_a_push_at_any_node_reaches_a_user_at_every_node_in_one_order(site: Site) -> None:
    pages = await opened(site, "alice")

    def push(node: int) -> None:
        with flow_for(site.gateways[node]) as flow:
            for number in range(20):
                flow.push("alice", "n", [node, number])

    await asyncio.gather(*(asyncio.to_thread(push, node) for node in range(3)))
    for page in pages:
        await page.until(lambda page=page: len(page.seen) == 60)  # type: ignore[misc]
        assert page.seen == pages[0].seen == kept(site, "alice")
    assert sorted(pages[0].seen) == [[node, number] for node in range(3) for number in range(20)]
    await close(pages)


async def test_history_and_recovery_are_the_same_at_every_node(site: Site) -> None:
    one, two, three = site.gateways
    page = Page(one, "bob")
    await page.open()
    with flow_for(one) as here, flow_for(two) as there:
        here.push("bob", "n", 1)
        await page.sees(1)
        await page.close()
        there.push("bob", "n", 2)
        page.url = three.websocket
        assert (await page.open())["recovered"]
        here.push("bob", "n", 3)
        await page.sees(1, 2, 3)
        assert here.history("#bob") == there.history("#bob")
    await close([page])


async def test_who_is_online_is_known_at_every_node(site: Site) -> None:
    pages = await opened(site, "carol")
    for gateway in site.gateways:
        with flow_for(gateway) as flow:
            assert flow.online("carol")
            assert not flow.online("nobody")
            stats = flow.presence_stats("#carol")
            assert (stats.num_clients, stats.num_users) == (3, 1)
            assert [info.user for info in flow.presence("#carol").values()] == ["carol"] * 3
            assert flow.channels()["#carol"] == 3
            assert sum(node.num_users for node in flow.info()) == 3
    await close(pages)
    with flow_for(site.gateways[1]) as flow:
        await until(lambda: not flow.online("carol"))


async def test_what_is_decided_at_one_node_holds_at_every_node(site: Site) -> None:
    pages = await opened(site, "dave")
    with flow_for(site.gateways[2]) as flow:
        flow.subscribe("dave", "news")
        for page in pages:
            await page.until(lambda page=page: any("subscribe" in push for push in page.pushes))  # type: ignore[misc]
        assert flow.channels()["news"] == 3
        flow.unsubscribe("dave", "news")
        for page in pages:
            await page.until(lambda page=page: any("unsubscribe" in push for push in page.pushes))  # type: ignore[misc]
        assert "news" not in flow.channels()
        flow.disconnect("dave")
    assert [await page.is_closed() for page in pages] == [3503] * 3


async def test_a_right_that_is_taken_at_one_node_ends_at_every_node(site: Site) -> None:
    pages = await opened(site, "erin")
    assert call(site.gateways[0], "refresh", user="erin", expired=True)[0] == 200
    assert [await page.is_closed() for page in pages] == [3005] * 3


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
async def test_connections_outlast_a_redis_that_is_away_and_gaps_are_healed(site: Site, how: signal.Signals) -> None:
    user = f"frank-{how}"
    pages = await opened(site, user)
    with flow_for(site.gateways[0]) as flow:
        flow.push(user, "n", "before")
    site.redis.signal(how)
    if how == signal.SIGKILL:
        site.redis.process.wait()
    ends = time.monotonic() + AWAY
    for gateway in site.gateways:
        await until(lambda gateway=gateway: "Redis cannot be reached" in trouble(gateway))  # type: ignore[misc]

    def push() -> str:
        with flow_for(site.gateways[1], timeout=2 * DEADLINE) as flow:
            try:
                flow.push(user, "n", "meanwhile")
            except (GatewayUnreachable, OutcomeUnknown) as error:
                return str(error)
        return ""

    assert await asyncio.wait_for(asyncio.to_thread(push), 10 * DEADLINE)
    await asyncio.sleep(ends - time.monotonic())
    if how == signal.SIGKILL:
        await asyncio.to_thread(site.redis.start)
    site.redis.signal(signal.SIGCONT)
    for gateway in site.gateways:
        await until(lambda gateway=gateway: not trouble(gateway))  # type: ignore[misc]
    with flow_for(site.gateways[2]) as flow:
        flow.push(user, "n", "after")
    for page in pages:
        await page.until(lambda page=page: "after" in page.seen)  # type: ignore[misc]
        assert page.seen == kept(site, user)
        assert page.seen in (["before", "after"], ["before", "meanwhile", "after"])
    await close(pages)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [{UP, DOWN}, {DOWN}], ids=["both-ways", "towards-the-node"])
async def test_a_node_that_is_cut_off_says_so_and_its_clients_miss_nothing(site: Site, lost: set[str]) -> None:
    user = f"grace-{len(lost)}"
    pages = await opened(site, user)
    one, two, three = site.gateways
    with flow_for(two) as flow:
        flow.push(user, "n", 0)
        for page in pages:
            await page.sees(0)
        site.links.set(0, Faults(discards=frozenset(lost)))  # type: ignore[arg-type]
        for number in range(1, 6):
            flow.push(user, "n", number)
        for page in pages[1:]:
            await page.sees(*range(6))
        await until(lambda: trouble(one))
        assert pages[0].seen == [0]
        assert not trouble(two)
        assert not trouble(three)
        status, _ = await asyncio.to_thread(call, one, "push", user=user, type="n", payload=99)
        assert status in (503, 504)
        site.links.heal()
        await until(lambda: not trouble(one))
        flow.push(user, "n", 6)
    for page in pages:
        await page.until(lambda page=page: 6 in page.seen)  # type: ignore[misc]
        assert page.seen == kept(site, user)
        assert [number for number in page.seen if number != 99] == list(range(7))
    await close(pages)


async def test_when_all_is_deleted_clients_are_told_and_everything_goes_on(site: Site) -> None:
    pages = await opened(site, "judy")
    with flow_for(site.gateways[0]) as flow, site.redis.client() as client:
        before = flow.push("judy", "n", 1)
        for page in pages:
            await page.sees(1)
        client.flushall()
        after = flow.push("judy", "n", 2)
        assert (after.offset, after.epoch == before.epoch) == (1, False)
        assert [await page.is_closed() for page in pages] == [INSUFFICIENT_STATE] * 3
        for page in pages:
            found = await page.open()
            assert found["was_recovering"]
            assert not found.get("recovered")
        flow.push("judy", "n", 3)
        for page in pages:
            await page.sees(1, 3)
        await until(lambda: flow.presence_stats("#judy").num_clients == 3)
        await until(lambda: len(flow.info()) == 3)  # once each has renewed its lease
    await close(pages)


async def test_links_that_are_cut_again_and_again_lose_nothing(site: Site) -> None:
    pages = await opened(site, "heidi")
    with flow_for(site.gateways[1]) as flow:
        for number in range(60):
            if number % 10 == 5:
                for index in range(3):
                    site.links.cut(index)
            await asyncio.to_thread(flow.push, "heidi", "n", number)
    for page in pages:
        await page.sees(*range(60))
    await close(pages)


@pytest.mark.slow
async def test_a_node_that_is_killed_is_forgotten_with_its_people(site: Site) -> None:
    pages = await opened(site, "ivan")
    with flow_for(site.gateways[0]) as flow:
        names = {node.uid for node in flow.info()}
        assert len(names) == 3
        site.gateways[2].kill()
        await pages[2].close()
        await until(lambda: len(flow.presence("#ivan")) == 2, 2 * LEASE)
        await until(lambda: flow.presence_stats("#ivan").num_clients == 2, 2 * LEASE)
        assert {node.uid for node in flow.info()} < names
    await close(pages[:2])
