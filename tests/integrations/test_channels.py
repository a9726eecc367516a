"""Each obligation of a channel layer, held by ours over a gateway; where processes are meant, each layer is one."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull, MessageTooLarge
from channels.layers import get_channel_layer
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from messageflow import AsyncFlow
from messageflow.errors import ConfigurationError, GatewayUnreachable
from messageflow.integrations.channels import MessageflowChannelLayer, layer_connection
from messageflow.integrations.django.checks import check_channel_layers
from tests.docs.written import ROOT
from tests.integrations import django_site
from tests.integrations.django_site import AWAY
from tests.ports import free_port
from tests.support import API_KEY, TOKEN_SECRET, Running, running

Make = Callable[..., MessageflowChannelLayer]
KEYS = {"api_key": API_KEY, "token_secret": TOKEN_SECRET}
BACKEND = "messageflow.integrations.channels.MessageflowChannelLayer"
SOON = 10.0  # seconds, of which hardly any are needed
NOTHING = 0.1  # seconds in which nothing comes


@pytest.fixture
async def make(gateway: Running, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes layers that hear each other, and no other test."""
    django_site.configure(str(tmp_path / "db.sqlite3"))
    made: list[MessageflowChannelLayer] = []

    def make(**config: Any) -> MessageflowChannelLayer:
        prefix = f"{abs(hash(request.node.name))}."
        made.append(MessageflowChannelLayer(url=gateway.url, prefix=prefix, **{**KEYS, **config}))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def layer(make: Make) -> MessageflowChannelLayer:
    return make(capacity=3)


async def receive(layer: MessageflowChannelLayer, channel: str) -> dict[str, Any]:
    return await asyncio.wait_for(layer.receive(channel), SOON)


async def is_empty(layer: MessageflowChannelLayer, channel: str) -> bool:
    try:
        await asyncio.wait_for(layer.receive(channel), NOTHING)
    except TimeoutError:
        return True
    return False


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not is_so():  # noqa: ASYNC110 - of something that tells nobody
            await asyncio.sleep(0.01)


# Channels


@pytest.mark.parametrize("name", ["emails", "own"])
async def test_what_is_sent_is_received_in_order_and_once(layer: MessageflowChannelLayer, name: str) -> None:
    channel = name if name == "emails" else await layer.new_channel()
    for number in range(3):
        await layer.send(channel, {"type": "a.message", "number": number})
    assert [(await receive(layer, channel))["number"] for _ in range(3)] == [0, 1, 2]
    assert await is_empty(layer, channel)


async def test_all_types_of_a_message_come_as_they_are(make: Make) -> None:
    sent = {"type": "t", "b": b"\x00\xff", "i": -(2**63), "f": 0.1, "l": [1, None, True], "d": {"é": {"x": ""}}}
    here, there = make(), make()
    channel = await there.new_channel()
    await here.send(channel, {**sent, "tuple": (1, 2)})
    assert await receive(there, channel) == {**sent, "tuple": [1, 2]}


async def test_new_channels_differ_and_have_room_for_a_prefix(layer: MessageflowChannelLayer) -> None:
    names = {await layer.new_channel() for _ in range(100)} | {await layer.new_channel(prefix="a" * 40)}
    assert len(names) == 101
    assert all(layer.require_valid_channel_name(name) for name in names)


@pytest.mark.parametrize("name", ["=+135!", "a" * 100, b"bytes", "two!!", "with space", "é"])
async def test_names_are_validated(layer: MessageflowChannelLayer, name: Any) -> None:
    message = {"type": "t"}
    for call in (
        lambda: layer.send(name, message),
        lambda: layer.receive(name),
        lambda: layer.group_add("fine", name),
        lambda: layer.group_discard("fine", name),
        lambda: layer.group_add(name, "fine"),
        lambda: layer.group_discard(name, "fine"),
        lambda: layer.group_send(name, message),
    ):
        with pytest.raises(TypeError, match=r"name must be a valid unicode string"):
            await call()


async def test_only_a_dict_is_a_message(layer: MessageflowChannelLayer) -> None:
    for call in (layer.send("emails", "text"), layer.group_send("all", "text")):  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="not a dict"):
            await call


async def test_a_channel_of_another_process_is_not_received_here(make: Make) -> None:
    with pytest.raises(AssertionError, match="not a channel of this process"):
        await make().receive(await make().new_channel())


async def test_of_several_who_receive_each_message_goes_to_one(make: Make) -> None:
    sender, *workers = make(), make(), make(), make()
    await asyncio.gather(*(is_empty(each, "emails") for each in workers))
    got: list[int] = []

    async def work(worker: MessageflowChannelLayer) -> None:
        while True:
            got.append((await worker.receive("emails"))["number"])

    working = [asyncio.create_task(work(each)) for each in workers for _ in range(2)]
    for number in range(30):
        await sender.send("emails", {"type": "t", "number": number})
    await until(lambda: len(got) >= 30)
    await asyncio.sleep(NOTHING)
    assert sorted(got) == [*range(30)]
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)


async def test_a_worker_that_comes_later_gets_what_waits(make: Make) -> None:
    await make().send("emails", {"type": "t", "number": 1})
    assert (await receive(make(), "emails"))["number"] == 1
    assert await is_empty(make(), "emails")


@pytest.mark.parametrize("name", ["emails", "own"])
async def test_who_is_cancelled_takes_nothing(layer: MessageflowChannelLayer, name: str) -> None:
    channel = name if name == "emails" else await layer.new_channel()
    for number in range(3):
        await layer.send(channel, {"type": "t", "number": number})
    got: list[int] = []
    for turns in range(60):
        receiving = asyncio.create_task(layer.receive(channel))
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        got += [
            each["number"] for each in await asyncio.gather(receiving, return_exceptions=True) if type(each) is dict
        ]
    while len(got) < 3:
        got.append((await receive(layer, channel))["number"])
    assert got == [0, 1, 2]


# Capacity


@pytest.mark.parametrize("name", ["emails", "own"])
async def test_a_full_channel_is_said_to_be(layer: MessageflowChannelLayer, name: str) -> None:
    channel = name if name == "emails" else await layer.new_channel()
    for _ in range(3):
        await layer.send(channel, {"type": "t"})
    with pytest.raises(ChannelFull, match=channel):
        await layer.send(channel, {"type": "t"})
    await receive(layer, channel)
    await layer.send(channel, {"type": "t"})


async def test_a_pattern_gives_channels_another_capacity(make: Make) -> None:
    layer = make(channel_capacity={"small.*": 1})
    await layer.send("small.one", {"type": "t"})
    with pytest.raises(ChannelFull):
        await layer.send("small.one", {"type": "t"})


async def test_a_group_drops_what_a_member_has_no_room_for_counts_it_and_says_where(
    layer: MessageflowChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, shared = await layer.new_channel(), "emails"
    for channel in (stuck, shared):
        await layer.group_add("all", channel)
    for number in range(5):
        await layer.group_send("all", {"type": "t", "number": number})
    await until(lambda: layer.dropped == 4)
    assert stuck in caplog.text
    for channel in (stuck, shared):
        assert [(await receive(layer, channel))["number"] for _ in range(3)] == [0, 1, 2]


async def test_who_receives_loses_nothing_however_fast_it_comes_and_who_does_not_holds_nobody_up(make: Make) -> None:
    sender, receiver = make(), make(capacity=10)
    good, stuck = await receiver.new_channel(), await receiver.new_channel()
    await receiver.group_add("all", good)
    await receiver.group_add("all", stuck)
    receiving = asyncio.create_task(take(receiver, good, 500))
    for first in range(0, 500, 50):  # of more at once the last wait for a connection as long as a flow asks
        sends = (sender.group_send("all", {"type": "t", "number": number}) for number in range(first, first + 50))
        await asyncio.gather(*sends)
    assert sorted(await asyncio.wait_for(receiving, SOON)) == [*range(500)]
    assert receiver.dropped == 490


async def take(layer: MessageflowChannelLayer, channel: str, count: int) -> list[int]:
    got = []
    for _ in range(count):
        got.append((await layer.receive(channel))["number"])
        for _ in range(5):
            await asyncio.sleep(0)  # as the tasks of a consumer do
    return got


# Expiry


async def test_what_nobody_receives_expires(make: Make) -> None:
    layer = make(expiry=0.3)
    own = await layer.new_channel()
    for channel in (own, "emails"):
        await layer.send(channel, {"type": "t", "number": 1})
    assert len(layer.channels) == 1
    await asyncio.sleep(0.35)
    assert await is_empty(layer, own)
    async with asyncio.timeout(SOON):
        while layer.channels:  # until it is heard, which takes a while on a busy machine
            assert await is_empty(layer, "emails")
    layer.expiry = 60  # what comes now is received, however long that takes
    for channel in (own, "emails"):
        await layer.send(channel, {"type": "t", "number": 2})
        assert (await receive(layer, channel))["number"] == 2


async def test_what_expired_takes_no_room(make: Make) -> None:
    layer = make(expiry=0.1, capacity=1)
    for channel in (await layer.new_channel(), "emails"):
        await layer.send(channel, {"type": "t"})
        await asyncio.sleep(0.15)
        await layer.send(channel, {"type": "t"})


async def test_a_channel_leaves_its_groups_in_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(group_expiry=0.05)
    assert layer.group_expiry == 0.05
    channel = await layer.new_channel()
    await layer.group_add("all", channel)
    await asyncio.sleep(0.1)
    monkeypatch.setattr(layer._queues, "_next_look", 0)
    await layer.group_send("all", {"type": "t"})
    assert await is_empty(layer, channel)


# Groups


async def test_a_group_is_sent_to_its_members_of_all_processes_once(make: Make) -> None:
    first, second, sender = make(), make(), make()
    members = [(each, await each.new_channel()) for each in (first, first, second)]
    left, other = await first.new_channel(), await second.new_channel()
    for layer, channel in members:
        await layer.group_add("all", channel)
        await layer.group_add("all", channel)
    await first.group_add("all", left)
    await first.group_discard("all", left)
    await first.group_discard("all", left)
    await second.group_add("others", other)
    await sender.group_send("all", {"type": "t", "number": 1})
    await sender.group_send("nobody", {"type": "t"})
    for layer, channel in members:
        assert (await receive(layer, channel))["number"] == 1
    empty = await asyncio.gather(*(is_empty(*each) for each in [*members, (first, left), (second, other)]))
    assert all(empty)


async def test_a_channel_without_a_process_is_in_a_group_once_whoever_added_it(make: Make) -> None:
    first, second = make(), make()
    for layer in (first, second):
        await layer.group_add("all", "emails")
    await make().group_send("all", {"type": "t", "number": 1})
    assert (await receive(first, "emails"))["number"] == 1
    assert all(await asyncio.gather(is_empty(first, "emails"), is_empty(second, "emails")))


async def test_a_channel_of_another_process_joins_and_leaves(make: Make) -> None:
    here, there = make(), make()
    channel = await there.new_channel()
    receiving = asyncio.create_task(there.receive(channel))
    await here.group_add("all", channel)
    await until(lambda: there._queues.has_group("all"))
    await here.group_send("all", {"type": "t", "number": 1})
    assert (await asyncio.wait_for(receiving, SOON))["number"] == 1
    await here.group_discard("all", channel)
    await until(lambda: not there._queues.has_group("all"))


async def test_a_process_hears_in_order_what_is_sent_to_it_and_to_its_groups(make: Make) -> None:
    sender, receiver = make(), make()
    channel = await receiver.new_channel()
    await receiver.group_add("all", channel)
    for number in range(50):
        await sender.group_send("all", {"type": "t", "number": number})
    assert [(await receive(receiver, channel))["number"] for _ in range(50)] == [*range(50)]


# Large messages


async def test_messages_of_a_megabyte_come_to_all_who_are_meant(make: Make) -> None:
    here, there = make(), make()
    channels = [await there.new_channel(), await there.new_channel()]
    for channel in channels:
        await there.group_add("all", channel)
    large = {"type": "t", "text": "é" * 500_000}
    await here.group_send("all", large)
    await here.send(channels[0], large)
    await here.send("emails", large)
    for channel in [*channels, channels[0], "emails"]:
        assert await receive(there, channel) == large


async def test_what_is_too_large_is_refused(layer: MessageflowChannelLayer) -> None:
    for call in (layer.send("emails", {"b": bytes(2**23)}), layer.group_send("all", {"b": bytes(2**23)})):
        with pytest.raises(MessageTooLarge, match="8388608 at most"):
            await call


# Flush and close


async def test_after_a_flush_there_are_neither_messages_nor_groups(make: Make) -> None:
    here, there = make(), make()
    own, other = await here.new_channel(), await there.new_channel()
    await here.group_add("all", own)
    await there.group_add("all", other)
    for channel in (own, other, "emails"):
        await here.send(channel, {"type": "t"})
    await until(lambda: there._queues.find(other) is not None)
    await here.flush()
    await until(lambda: not there._queues.has_group("all"))
    await here.group_send("all", {"type": "t"})
    assert all(await asyncio.gather(is_empty(here, own), is_empty(there, other), is_empty(here, "emails")))
    assert {"groups", "flush"} == {*here.extensions}


async def test_a_closed_layer_can_be_used_again(layer: MessageflowChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("all", channel)
    await layer.close()
    await layer.group_send("all", {"type": "t", "number": 1})
    assert (await receive(layer, channel))["number"] == 1


# Event loops and threads


def test_loops_that_come_and_go_share_a_layer(gateway: Running) -> None:
    layer = MessageflowChannelLayer(url=gateway.url, prefix="loops.", **KEYS)
    first, second = (async_to_sync(layer.new_channel)() for _ in range(2))
    async_to_sync(layer.group_add)("all", first)
    async_to_sync(layer.send)(second, {"type": "t", "number": 2})
    async_to_sync(layer.group_send)("all", {"type": "t", "number": 1})
    assert async_to_sync(layer.receive)(second)["number"] == 2
    assert async_to_sync(layer.receive)(first)["number"] == 1
    async_to_sync(layer.close)()


async def test_another_thread_with_a_loop_of_its_own_may_send_join_and_receive(layer: MessageflowChannelLayer) -> None:
    channel, theirs = await layer.new_channel(), await layer.new_channel()
    receiving = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)

    async def work() -> int:
        await layer.group_add("all", channel)
        await layer.group_send("all", {"type": "t", "number": 1})
        number = int((await receive(layer, theirs))["number"])
        await layer.close()  # what it had on this loop
        return number

    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(asyncio.run(work())))
    thread.start()
    assert (await asyncio.wait_for(receiving, SOON))["number"] == 1
    await layer.send(theirs, {"type": "t", "number": 2})
    await asyncio.to_thread(thread.join, SOON)
    assert got == [2]


# A gateway that ends and begins again


async def test_over_a_restart_of_a_durable_gateway_nothing_is_lost(tmp_path: Path) -> None:
    with running(("serve",), tmp_path, port=free_port()) as first:
        sender, receiver = (MessageflowChannelLayer(url=first.url, **KEYS) for _ in range(2))
        channel = await receiver.new_channel()
        await receiver.group_add("all", channel)
        await is_empty(receiver, "emails")
        await sender.group_send("all", {"type": "t", "number": 0})
        first.kill()
        sending = asyncio.create_task(sender.group_send("all", {"type": "t", "number": 1}))
        with running(("serve",), tmp_path, port=first.port):
            await sending
            await sender.send("emails", {"type": "t", "number": 2})
            assert [(await receive(receiver, channel))["number"] for _ in range(2)] == [0, 1]
            assert (await receive(receiver, "emails"))["number"] == 2
            await sender.close()
            await receiver.close()


# What is wrong


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hosts": ["redis://h"]}, "hosts in CONFIG of CHANNEL_LAYERS is not known: there are url, api_key"),
        ({"capacity": "many"}, r"CONFIG of CHANNEL_LAYERS: Expected `int`, got `str` - at `\$.capacity`"),
        ({"capacity": 0}, "capacity in CONFIG of CHANNEL_LAYERS is 0: write how many"),
        ({"channel_capacity": {"a*": 9999}}, r"channel_capacity\['a\*'\] in CONFIG of CHANNEL_LAYERS is 9999"),
        ({"expiry": 601}, "expiry in CONFIG of CHANNEL_LAYERS is 601.0: write seconds, at most 600"),
        ({"group_expiry": -1}, "group_expiry in CONFIG of CHANNEL_LAYERS is -1.0"),
        ({"prefix": "#a"}, "prefix in CONFIG of CHANNEL_LAYERS is '#a'"),
        ({"url": "redis://localhost"}, "url in CONFIG of CHANNEL_LAYERS is that of a Redis"),
        ({"url": "nonsense"}, "argument url"),
    ],
)
def test_what_cannot_be_used_is_said_when_the_layer_is_made_by_its_name(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        MessageflowChannelLayer(**config)


async def test_a_gateway_that_is_away_is_an_error_of_whoever_needs_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(layer_connection, "PATIENCE", 0.2)
    layer = MessageflowChannelLayer(url=AWAY, **KEYS)
    layer._flow = AsyncFlow(AWAY, api_key=API_KEY, token_secret=TOKEN_SECRET, timeout=0.2)
    with pytest.raises(GatewayUnreachable):
        await layer.group_add("all", await layer.new_channel())
    assert "the channel layer hears nothing of its gateway" in caplog.text
    with pytest.raises(GatewayUnreachable):
        await layer.group_send("all", {"type": "t"})
    await layer.close()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"CONFIG": {"hosts": []}}, "hosts in CONFIG of CHANNEL_LAYERS is not known"),
        ({"BACKEND": "messageflow.integrations.channels.Layer"}, "BACKEND in CHANNEL_LAYERS: .*Layer"),
    ],
)
def test_a_project_says_at_its_start_what_is_wrong(layer: dict[str, Any], said: str, tmp_path: Path) -> None:
    django_site.configure(str(tmp_path / "db.sqlite3"))
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": BACKEND, **layer}}):
        (error,) = check_channel_layers()
        assert error.id == "messageflow.E002"
        assert re.search(said, error.msg)
        with pytest.raises(ImproperlyConfigured, match=said):
            apps.get_app_config("messageflow").ready()


async def test_a_project_has_the_layer_of_the_documentation(gateway: Running, tmp_path: Path) -> None:
    django_site.configure(str(tmp_path / "db.sqlite3"))
    told: dict[str, Any] = {}
    section = (ROOT / "docs" / "django.md").read_text().split("## With Channels")[1]
    exec(section.split("```python\n")[1].split("```")[0], told)
    project = {"URL": gateway.url, "API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET}
    with override_settings(CHANNEL_LAYERS=told["CHANNEL_LAYERS"], MESSAGEFLOW=project):
        layer = get_channel_layer()
        assert check_channel_layers() == []
        channel = await layer.new_channel()
        await layer.group_add("all", channel)
        await layer.group_send("all", {"type": "t", "number": 1})
        assert (await receive(layer, channel))["number"] == 1
        await layer.close()


def test_without_channels_the_line_to_install_is_said() -> None:
    program = "import sys; sys.modules['channels'] = None; import messageflow.integrations.channels"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "needs channels, which is not installed: pip install 'messageflow-push[channels]'" in done.stderr
