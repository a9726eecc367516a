"""Handlers of an application elsewhere: from a page through a signed request to a function, and back."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.gateway.test_every_setting import token
from tests.gateway.test_hooks_in_process import Page
from tests.gateway.test_hooks_of_handlers import OPEN, hear, shout
from tests.gateway.webhook_applications import PATHS, SECRET, SERVERS, serving
from tests.ports import free_port
from tests.support import Running, running
from tests.waiting import until


@contextmanager
def asking(directory: Path, port: int, kind: str, *flags: str) -> Iterator[Running]:
    """Run a gateway that asks an application on a port."""
    (directory / "messageflow.toml").write_text(OPEN)
    command = ["serve", "--hooks-url", f"http://127.0.0.1:{port}{PATHS[kind]}", "--hooks-secret", SECRET]
    with running([*command, "--config", "messageflow.toml", *flags], directory / "data", cwd=directory) as gateway:
        yield gateway


async def enter(gateway: Running, user: str) -> Page:
    """Return a page that is in, once it is let in."""
    while True:
        page = Page(gateway, user)
        with suppress(ConnectionClosed):
            await page.connect()
            return page
        assert page.link.close_code == 3004
        await asyncio.sleep(0.05)


def told(directory: Path) -> list[str]:
    """Return what the application has noted."""
    path = directory / "told.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_a_page_says_reaches_an_application_elsewhere(tmp_path: Path, kind: str) -> None:
    port = free_port()
    with asking(tmp_path, port, kind) as gateway, serving(kind, tmp_path, port, gateway.url):
        alice, bob = await enter(gateway, "alice"), await enter(gateway, "bob")
        async with alice.link, bob.link:
            call = {"method": "double", "data": 21}
            expected = {"twice": 42, "by": "alice", "cookie": None, "info": {"came": True}}
            assert (await alice.ask(rpc=call))["rpc"]["data"] == expected
            codes = [(await alice.ask(rpc={"method": name}))["error"]["code"] for name in ("double", "fail", "none")]
            assert codes == [1001, 100, 104]
            await alice.link.send(json.dumps({"send": {"data": {"type": "city", "payload": "Rome"}}}))
            for page in (bob, alice):
                assert await hear(page, "city") == {"city": "Rome", "by": "alice"}
            await shout(alice, bob)
            blue = {"channel": "open:blue"}
            assert "subscribe" in await alice.ask(subscribe=blue)
            assert (await alice.ask(subscribe={"channel": "open:closed"}))["error"]["code"] == 103
            assert "history" in await bob.ask(history={"channel": "open:closed"})  # by a right of the connect
            for payload, code in (("taken", 0), ("refused", 1002)):
                send = {"data": {"type": "once", "payload": payload}, "key": payload}
                for again in ({}, {"age": 0}):  # as after a receipt that was lost
                    assert (await alice.ask(send={**send, **again})).get("error", {}).get("code", 0) == code
            assert (tmp_path / "once.txt").read_text() == "taken\nrefused\n"
            assert "publish" in await alice.ask(publish={**blue, "data": "hello"})
            assert (await alice.ask(publish={**blue, "data": "casino"}))["error"]["code"] == 103
            history = (await alice.ask(history={**blue, "limit": 10}))["history"]
            assert [each["data"] for each in history.get("publications", [])] in (
                [],
                [{"text": "hello", "by": "alice"}],
            )
            async with connect(gateway.websocket) as link:
                await link.send(json.dumps({"id": 1, "connect": {"token": token("eve"), "data": "mallory"}}))
                assert json.loads(await link.recv())["error"]["code"] == 103
        await until(lambda: len(told(tmp_path)) == 4)
        assert told(tmp_path)[0] == "occupied open:blue"
        assert sorted(told(tmp_path)[1:]) == ["gone alice 0", "gone bob 0", "vacated open:blue"]
        [failed] = gateway.events("hook_failed")
        assert failed["handler"] == "handlers.fail"
        assert "ZeroDivisionError" in str(failed["error"])


async def test_a_handler_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    port = free_port()
    with asking(tmp_path, port, "asgi", "--hook-timeout", "2s") as gateway, serving("asgi", tmp_path, port):
        alice, bob = await enter(gateway, "alice"), await enter(gateway, "bob")
        async with alice.link, bob.link:
            outages = len(gateway.events("webhook_away"))
            hanging = asyncio.create_task(alice.ask(rpc={"method": "hang"}))
            await until(lambda: told(tmp_path) == ["hang"])
            assert (await bob.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2
            assert (await hanging)["error"]["code"] == 100
        await until(lambda: len(gateway.events("hook_timed_out")) == 1)
        assert gateway.events("hook_timed_out")[0]["handler"] == "handlers.hang"
        assert len(gateway.events("webhook_away")) == outages


@pytest.mark.parametrize("kind", SERVERS)
async def test_an_endpoint_that_is_killed_and_comes_back(tmp_path: Path, kind: str) -> None:
    """Killed in the middle of a call; while it is away nobody gets in and nobody waits, and it is logged once."""
    port = free_port()
    with asking(tmp_path, port, kind) as gateway, ExitStack() as stack:
        first = stack.enter_context(serving(kind, tmp_path, port))
        alice = await enter(gateway, "alice")
        async with alice.link:
            hanging = asyncio.create_task(alice.ask(rpc={"method": "hang"}))
            await until(lambda: told(tmp_path) == ["hang"])
            first.kill()
            assert (await hanging)["error"]["code"] == 113, "nobody knows how far it came"
            await until(lambda: any("111" in str(each["error"]) for each in gateway.events("webhook_away")))
            for _ in range(20):
                assert (await alice.ask(rpc={"method": "double", "data": 1}))["error"] == {
                    "code": 100,
                    "message": "the application is away",
                    "temporary": True,
                }
                with pytest.raises(ConnectionClosed) as closed:
                    await Page(gateway, "bob").connect()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 3004
            with serving(kind, tmp_path, port):
                bob = await enter(gateway, "bob")
                assert (await alice.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2
                await bob.link.close()
                await until(lambda: "gone bob 0" in told(tmp_path))
        assert told(tmp_path).count("hang") == 1, "a call is never sent twice"
        outages = len(gateway.events("webhook_away"))
        assert outages <= 3, "once before it began, and once for the kill, found by one or two of its signs"
        assert len(gateway.events("webhook_back")) >= outages - 1


async def test_an_endpoint_that_stands_still_is_away_until_it_goes_on(tmp_path: Path) -> None:
    port = free_port()
    with asking(tmp_path, port, "asgi", "--hook-timeout", "1s") as gateway, serving("asgi", tmp_path, port) as process:
        alice = await enter(gateway, "alice")
        async with alice.link:
            before = len(gateway.events("webhook_back"))
            process.send_signal(signal.SIGSTOP)
            try:
                assert (await alice.ask(rpc={"method": "double", "data": 1}))["error"]["code"] == 100
                await until(lambda: any("in time" in str(each["error"]) for each in gateway.events("webhook_away")))
            finally:
                process.send_signal(signal.SIGCONT)
            await until(lambda: len(gateway.events("webhook_back")) > before)
            assert (await alice.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2


async def test_an_application_that_knows_another_secret_lets_nobody_in(tmp_path: Path) -> None:
    port = free_port()
    with asking(tmp_path, port, "wsgi") as gateway, serving("wsgi", tmp_path, port, secret="another-one-" * 4):
        await until(lambda: bool(gateway.events("webhook_away")))
        with pytest.raises(ConnectionClosed) as closed:
            await Page(gateway, "alice").connect()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3004


async def test_a_gateway_that_ends_tells_of_those_it_sent_away(tmp_path: Path) -> None:
    port = free_port()
    with asking(tmp_path, port, "asgi", "--drain-time", "0") as gateway, serving("asgi", tmp_path, port):
        pages = [await enter(gateway, f"user-{number}") for number in range(3)]
        assert gateway.terminate() == 0
        assert sorted(told(tmp_path)) == [f"gone user-{number} 3001" for number in range(3)]
        for page in pages:
            await page.link.close()


FEW = """
from messageflow import Flow

flow = Flow()

@flow.rpc("double")
def double(event):
    return event.data * 2
"""


async def test_what_has_no_handler_costs_nothing_and_what_is_new_is_found(tmp_path: Path) -> None:
    """An application that has no `on_connect` may be away: pages come in as if there were no hook."""
    port = free_port()
    with asking(tmp_path, port, "wsgi") as gateway:
        with serving("wsgi", tmp_path, port, handlers=FEW) as first:
            alice = await enter(gateway, "alice")
            await alice.link.close()
            first.kill()
            first.wait()  # or it may take the call yet, and answer nothing
            bob = Page(gateway, "bob")
            await bob.connect()
            assert (await bob.ask(rpc={"method": "double", "data": 1}))["error"]["code"] == 100
            await bob.link.close()
        before = len(gateway.events("webhook_back"))
        with serving("wsgi", tmp_path, port):
            await until(lambda: len(gateway.events("webhook_back")) > before)
            carol = await enter(gateway, "carol")
            async with carol.link:
                answer: dict[str, Any] = (await carol.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]
                assert answer["info"] == {"came": True}


async def test_in_several_workers_each_asks(tmp_path: Path) -> None:
    port = free_port()
    with asking(tmp_path, port, "wsgi", "--workers", "2") as gateway, serving("wsgi", tmp_path, port, gateway.url):
        for number in range(6):
            page = await enter(gateway, f"user-{number}")
            async with page.link:
                assert (await page.ask(rpc={"method": "double", "data": 1}))["rpc"]["data"]["twice"] == 2
        await until(lambda: len(told(tmp_path)) == 6)
        assert sorted(told(tmp_path)) == [f"gone user-{number} 0" for number in range(6)]
