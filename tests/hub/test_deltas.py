"""Deltas: who asked for them can make every publication of what it was sent before, whatever happened on the way."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from messageflow.core.fossil import apply
from messageflow.core.namespaces import Namespaces
from messageflow.core.stream import DELTA, SECRET, Item, Retention
from messageflow.gateway.websocket_compression import CompressedTransport
from messageflow.hub.history_limits import HistoryLimits
from messageflow.hub.limits import Limits
from messageflow.hub.transport import DeltaEncoding
from messageflow.testing.memory_connection import Carrier, MemoryConnection
from tests.gateway.test_websocket_compression import read as read_frames
from tests.hub import conftest
from tests.hub.conftest import World
from tests.hub.one_way_toy import CARRIER as ONE_WAY

ALLOWED = msgspec.structs.replace(conftest.OPEN, allowed_delta_types=("fossil",), delta_publish=True, join_leave=False)
BIG = {"rows": [{"id": n, "name": f"row {n}"} for n in range(20)]}
SECONDS = Retention(1000, 600)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    named = {
        "open": conftest.OPEN,
        "delta": ALLOWED,
        "bare": msgspec.structs.replace(ALLOWED, history_size=0),
        "skip": msgspec.structs.replace(ALLOWED, history_size=3, lag_policy="skip"),
        "cache": msgspec.structs.replace(ALLOWED, force_recovery_mode="cache"),
        "asked": msgspec.structs.replace(ALLOWED, delta_publish=False),
        "secret": msgspec.structs.replace(ALLOWED, compress=False),
    }
    monkeypatch.setattr(conftest, "NAMESPACES", Namespaces(named=named))
    made = World(Limits(history=HistoryLimits(chunk_bytes=1500)))
    await made.hub.start()
    yield made
    await made.close()


def document(n: int) -> str:
    return json.dumps({**BIG, "n": n, "text": "日本語" * (n % 3)})


class Page:
    """A client that does what an SDK does: it keeps what it was sent last, and applies what comes to that.

    Attributes:
        seen: the documents, as it has put them together.
        patches: how many of them came as patches.
    """

    def __init__(self, connection: MemoryConnection, channel: str) -> None:
        self.connection = connection
        self.seen: list[Any] = []
        self.offsets: list[int] = []
        self.patches = 0
        self._channel = channel
        self._base = b""
        self._read = 0

    def look(self) -> list[Any]:
        """Take what has come since the last look, and return all documents so far."""
        for message in self.connection.written[self._read :]:
            push = message.get("push", {})
            if "pub" in push and push["channel"] == self._channel:
                self._take(push["pub"])
            for publication in message.get("subscribe", {}).get("publications", []):
                self._take(publication)
        self._read = len(self.connection.written)
        return self.seen

    def _take(self, publication: dict[str, Any]) -> None:
        data = publication["data"]
        assert isinstance(data, str)
        delta = publication.get("delta", False)
        self._base = apply(self._base, data.encode()) if delta else data.encode()
        self.patches += delta
        self.seen.append(json.loads(self._base))
        self.offsets.append(publication.get("offset", 0))


async def come(world: World, user: str, channel: str, **request: Any) -> Page:
    return Page(await world.subscribed(user, channel, delta="fossil", **request), channel)


def documents(*numbers: int) -> list[Any]:
    return [json.loads(document(n)) for n in numbers]


async def test_the_first_publication_is_whole_and_what_follows_is_what_changed(world: World) -> None:
    page, plain = await come(world, "alice", "delta:x"), await world.subscribed("bob", "delta:x")
    [reply] = page.connection.replies(2)
    assert reply["subscribe"]["delta"] is True
    assert "delta" not in plain.replies(2)[0]["subscribe"]
    for n in (1, 2, 3):
        await world.publish("delta:x", document(n))
    assert page.look() == documents(1, 2, 3)
    assert page.patches == 2
    assert [p["data"] for p in plain.publications("delta:x")] == documents(1, 2, 3)
    assert page.connection.publications("delta:x")[1]["data"] < document(2)


async def test_who_comes_later_begins_with_a_whole_one_while_others_go_on(world: World) -> None:
    first = await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1))
    second = await come(world, "bob", "delta:x")
    await world.publish("delta:x", document(2), document(3))
    assert (first.look(), first.patches) == (documents(1, 2, 3), 2)
    assert (second.look(), second.patches) == (documents(2, 3), 1)


async def test_each_is_encoded_once_for_all_who_read_it_alike(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [await come(world, f"user{n}", "delta:x") for n in range(5)]
    made: list[int] = []
    original = DeltaEncoding.patched

    def patched(self: DeltaEncoding, channel: str, publications: Any, patches: Any, *, secret: bool) -> bytes:
        made.append(len(publications))
        return original(self, channel, publications, patches, secret=secret)

    monkeypatch.setattr(DeltaEncoding, "patched", patched)
    await world.publish("delta:x", document(1))
    await world.publish("delta:x", document(2), document(3))
    assert made == [1, 2]
    assert [page.look() for page in pages] == [documents(1, 2, 3)] * 5


async def test_what_was_missed_begins_whole_and_live_ones_follow_it(world: World) -> None:
    await world.publish("delta:x", *map(document, range(1, 4)))
    page = await come(world, "alice", "delta:x", recover=True, offset=1)
    await world.publish("delta:x", document(4))
    assert (page.look(), page.offsets, page.patches) == (documents(2, 3, 4), [2, 3, 4], 2)


async def test_a_long_recovery_goes_on_after_the_answer(world: World) -> None:
    await world.publish("delta:x", *map(document, range(1, 20)))
    page = await come(world, "alice", "delta:x", recover=True, offset=0)
    await world.publish("delta:x", document(20))
    assert page.look() == documents(*range(1, 21))


async def test_the_newest_of_a_cache_is_whole(world: World) -> None:
    await world.publish("cache:x", document(1), document(2))
    page = await come(world, "alice", "cache:x", recover=True)
    await world.publish("cache:x", document(3))
    assert (page.look(), page.patches) == (documents(2, 3), 1)


async def test_who_recovered_nothing_may_know_nothing_and_begins_whole(world: World) -> None:
    await world.publish("delta:x", document(1))
    page = await come(world, "alice", "delta:x", recover=True, offset=1)
    await world.publish("delta:x", document(2))
    assert (page.look(), page.patches) == (documents(2), 0)


async def test_who_lags_reads_on_from_memory_and_from_history(world: World) -> None:
    slow, other = await come(world, "alice", "delta:x"), await come(world, "bob", "delta:x")
    await world.publish("delta:x", document(1))
    for n in range(2, 30):
        if n == 10:
            slow.connection.fill()
        await world.publish("delta:x", document(n))
    slow.connection.empty()
    await world.settle()
    await world.publish("delta:x", document(30))
    assert slow.look() == other.look() == documents(*range(1, 31))
    assert other.patches == 29


async def test_who_skips_begins_anew(world: World) -> None:
    page, other = await come(world, "alice", "skip:x"), await come(world, "bob", "skip:x")
    await world.publish("skip:x", document(1))
    page.connection.fill()
    for n in range(2, 10):
        await world.publish("skip:x", document(n))
    world.hub.backlogs.open.copy().popitem()[0]._batches.clear()  # as when there is no room for it
    page.connection.empty()
    await world.settle()
    await world.publish("skip:x", document(10), document(11))
    assert page.look()[-2:] == documents(10, 11)
    assert other.look() == documents(*range(1, 12))


async def test_who_is_left_out_of_one_is_sent_the_next_whole(world: World) -> None:
    page, other = await come(world, "alice", "delta:x"), await come(world, "bob", "delta:x")
    [client] = [page.connection.session.client] if page.connection.session else []
    await world.publish("delta:x", document(1))
    await world.publish("delta:x", document(2), exclude=client)
    await world.publish("delta:x", document(3))
    await world.publish("delta:x", document(4))
    assert (page.look(), page.patches) == (documents(1, 3, 4), 1)
    assert (other.look(), other.patches) == (documents(1, 2, 3, 4), 3)


async def test_what_is_not_kept_is_no_base(world: World) -> None:
    page = await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1))
    await world.broker.publish([Item("delta:x", document(2).encode(), Retention(0, 0))])
    await world.settle()
    await world.publish("delta:x", document(3))
    await world.publish("delta:x", document(4))
    assert (page.look(), page.patches) == (documents(1, 2, 3, 4), 1)


async def test_who_comes_changes_nothing_for_who_is_there(world: World) -> None:
    page = await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1))
    await world.broker.publish([Item("delta:x", document(2).encode(), Retention(0, 0))])
    await world.settle()
    late = await come(world, "bob", "delta:x", recover=True, offset=0)
    await world.publish("delta:x", document(3))
    assert page.look() == documents(1, 2, 3)
    assert late.look() == documents(1, 3)


async def test_who_was_left_out_of_the_last_missed_one_begins_whole(world: World) -> None:
    await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1))
    await world.publish("delta:x", document(2), exclude="before")
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("bob"), "former": ["before"]}})
    connection.send({"id": 2, "subscribe": {"channel": "delta:x", "delta": "fossil", "recover": True, "offset": 0}})
    await world.settle()
    await world.publish("delta:x", document(3))
    page = Page(connection, "delta:x")
    assert (page.look(), page.patches) == (documents(1, 3), 0)


async def test_a_channel_without_history_sends_all_whole(world: World) -> None:
    page = await come(world, "alice", "bare:x")
    await world.publish("bare:x", document(1), document(2))
    assert (page.look(), page.patches) == (documents(1, 2), 0)


async def test_where_they_are_not_allowed_nothing_is_changed(world: World) -> None:
    connection = await world.subscribed("alice", "open:x", delta="fossil")
    assert "delta" not in connection.replies(2)[0]["subscribe"]
    await world.publish("open:x", document(1))
    assert [p["data"] for p in connection.publications("open:x")] == documents(1)


async def test_what_is_short_or_wholly_different_is_sent_whole(world: World) -> None:
    page = await come(world, "alice", "delta:x")
    await world.publish("delta:x", "1", "1", document(1), '"日本語"')
    assert (page.look(), page.patches) == ([1, 1, *documents(1), "日本語"], 0)


async def test_only_what_is_published_to_be_is_a_patch_where_its_namespace_says_no_more(world: World) -> None:
    page = await come(world, "alice", "asked:x")
    for n, flags in ((1, DELTA), (2, 0), (3, DELTA), (4, 0)):
        await world.publish("asked:x", document(n), flags=flags)
    assert (page.look(), page.patches) == (documents(1, 2, 3, 4), 1)
    late = await come(world, "bob", "asked:x", recover=True, offset=0)
    assert (late.look(), late.patches) == (documents(1, 2, 3, 4), 2)  # in two chunks


async def test_what_is_secret_is_neither_a_patch_nor_what_one_begins_from(world: World) -> None:
    page = await come(world, "alice", "delta:x")
    for n, flags in ((1, 0), (2, SECRET), (3, 0), (4, 0)):
        await world.publish("delta:x", document(n), flags=flags)
    assert (page.look(), page.patches) == (documents(1, 2, 3, 4), 1)
    late = await come(world, "bob", "delta:x", recover=True, offset=0)
    assert (late.look(), late.patches) == (documents(1, 2, 3, 4), 1)
    slow = await come(world, "carol", "delta:x", recover=True, offset=4)
    slow.connection.fill()
    for n, flags in ((5, 0), (6, SECRET), (7, SECRET)):
        await world.publish("delta:x", document(n), flags=flags)
    slow.connection.empty()
    await world.settle()
    assert (slow.look(), slow.patches) == (documents(5, 6, 7), 0)


async def test_a_secret_namespace_has_none(world: World) -> None:
    connection = await world.subscribed("alice", "secret:x", delta="fossil")
    assert "delta" not in connection.replies(2)[0]["subscribe"]


async def test_they_are_compressed_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "carrier", Carrier(transport=CompressedTransport(10), read=read_frames))
    page = await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1))
    await world.publish("delta:x", document(2))
    assert (page.look(), page.patches) == (documents(1, 2), 1)
    assert [m["compressed"] for m in page.connection.written if "pub" in m.get("push", {})] == [True, True]


async def test_a_transport_of_one_frame_a_write_has_them_in_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "carrier", ONE_WAY)
    page = await come(world, "alice", "delta:x")
    await world.publish("delta:x", document(1), document(2))
    assert (page.look(), page.patches) == (documents(1, 2), 1)


async def test_the_last_who_asked_leaves_nothing_behind(world: World) -> None:
    page, plain = await come(world, "alice", "delta:x"), await world.subscribed("bob", "delta:x")
    await world.publish("delta:x", document(1))
    page.connection.send({"id": 3, "unsubscribe": {"channel": "delta:x"}})
    await world.settle()
    channel = plain.session.find_subscription("delta:x").channel  # type: ignore[union-attr]
    assert list(channel.encoders) == [plain.session.encoder]  # type: ignore[union-attr]
    assert not channel._extras.are_needed
    await world.publish("delta:x", document(2))
    assert [p["data"] for p in plain.publications("delta:x")] == documents(1, 2)


class Life:
    """What pages and publishers do in one channel, by chance."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.pages: list[Page] = []
        self.left: list[Page] = []
        self.published: dict[int, Any] = {}
        self._made = 0

    async def come(self) -> None:
        since = max(self.left[-1].offsets, default=0) if self.left and self.chance.random() < 0.8 else 0
        self.pages.append(await come(self.world, f"user{self._made}", "delta:x", recover=True, offset=since))

    async def publish(self, exclude: str = "") -> None:
        self._made += 1
        [stored] = await self.world.publish_only("delta:x", document(self._made), exclude=exclude)
        self.published[stored.position.offset] = json.loads(document(self._made))

    async def publish_unkept(self) -> None:
        await self.world.broker.publish([Item("delta:x", document(0).encode(), Retention(0, 0))])

    async def burst(self) -> None:
        for _ in range(8):
            await self.publish()

    async def exclude(self) -> None:
        session = self.chance.choice(self.pages).connection.session
        await self.publish(session.client if session else "")

    async def fill(self) -> None:
        self.chance.choice(self.pages).connection.fill()

    async def empty(self) -> None:
        self.chance.choice(self.pages).connection.empty()

    async def leave(self) -> None:
        page = self.pages.pop(self.chance.randrange(len(self.pages)))
        page.connection.lose()
        page.look()
        self.left.append(page)
        await self.come()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_each_page_has_each_document_in_order(world: World, seed: int) -> None:
    life = Life(world, seed)
    for _ in range(4):
        await life.come()
    acts = [*[life.publish] * 4, life.burst, life.exclude, life.publish_unkept, life.fill, life.empty, life.leave]
    for _ in range(120):
        await life.chance.choice(acts)()
        if life.chance.random() < 0.7:
            await world.settle()
    for page in life.pages:
        page.connection.empty()
    await life.publish()
    for _ in range(20):
        await world.settle()
    assert all(page.look()[-1] == life.published[max(life.published)] for page in life.pages)
    for page in (*life.pages, *life.left):
        page.look()
        kept = [(offset, seen) for offset, seen in zip(page.offsets, page.seen, strict=True) if offset]
        assert [offset for offset, _ in kept] == sorted({offset for offset, _ in kept})
        assert all(seen == life.published[offset] for offset, seen in kept)
    assert sum(page.patches for page in life.pages) > len(life.pages)
