"""What the application decides: allowed, refused with a code, too slow, failing, too many at once."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, get_args, get_type_hints

import pytest

from messageflow.core.codes import SERVER_ERROR
from messageflow.errors import Refuse
from messageflow.hub import hook_calls
from messageflow.hub.hook_limits import HookLimits
from messageflow.hub.hooks import (
    ANSWERS,
    HANDLER,
    KINDS,
    OUTLIVING,
    AuthorizeAnswer,
    AuthorizeQuestion,
    ClientEvent,
    ConnectAnswer,
    ConnectQuestion,
    DisconnectNotice,
    Hooks,
    PublishAnswer,
    PublishQuestion,
    RefreshAnswer,
    RefreshQuestion,
    RpcAnswer,
    RpcQuestion,
)
from messageflow.hub.limits import Limits
from messageflow.testing.memory_connection import MemoryConnection
from tests.hub.conftest import World
from tests.waiting import until

Make = Callable[..., Awaitable[World]]

SHORT = Limits(hooks=HookLimits(hook_timeout=0.05))


def test_each_kind_is_declared_whole() -> None:
    assert tuple(ANSWERS) == KINDS
    for kind, function in get_type_hints(Hooks).items():
        called, _ = get_args(function)
        _, awaited = get_args(called)
        (answer,) = get_args(awaited)
        assert ANSWERS[kind] is (type(None) if answer is None else answer)
    assert set(KINDS) > OUTLIVING


async def test_the_hub_can_call_each_kind(make: Make) -> None:
    calls = vars((await make()).hub.hooks)
    assert [name for name in calls if not name.startswith("_") and name != "any"] == list(KINDS)


@pytest.fixture
async def make(request: pytest.FixtureRequest) -> Any:
    """Makes hubs with hooks."""
    made: list[World] = []

    async def make(limits: Limits | None = None, **hooks: Any) -> World:
        world = World(limits, hooks=Hooks(**hooks))
        made.append(world)
        await world.hub.start()
        return world

    yield make
    for world in made:
        await world.close()


async def ask(world: World, connection: MemoryConnection, number: int, **command: Any) -> dict[str, Any]:
    """Send a command and return its reply."""
    connection.send({"id": number, **command})
    await until(lambda: connection.replies(number) or connection.closed)
    return connection.replies(number)[0] if connection.replies(number) else {}


async def raising(question: Any) -> Any:
    raise RuntimeError("a bug in the application")


async def refusing(question: Any) -> Any:
    raise Refuse(1042, "not today")


async def never(question: Any) -> Any:
    await asyncio.sleep(3600)


async def no_time(question: ConnectQuestion) -> ConnectAnswer:
    return ConnectAnswer(expires_at=float("nan"))


async def nonsense(question: Any) -> Any:
    return "yes"


# connect


async def test_connect_is_asked_once_the_token_is_believed_and_may_add_to_it(make: Make) -> None:
    asked: list[ConnectQuestion] = []

    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        asked.append(question)
        return ConnectAnswer(info=b'{"name": "Alice"}', data=b'{"theme":"dark"}', channels=("open:news", "*"))

    world = await make(connect=connect)
    connection = world.connection()
    reply = await ask(world, connection, 1, connect={"token": world.token("alice"), "data": {"a": 1}, "name": "shop"})
    assert (asked[0].client.user, asked[0].value, asked[0].name) == ("alice", {"a": 1}, "shop")
    assert asked[0].expires_at == world.wall() + 3600
    assert reply["connect"]["data"] == {"theme": "dark"}
    assert list(reply["connect"]["subs"]) == ["#alice", "*", "open:news"]
    assert connection.session is not None
    assert connection.session.info is not None
    assert bytes(connection.session.info.conn_info) == b'{"name": "Alice"}'  # type: ignore[arg-type]


async def test_who_comes_without_a_token_is_who_the_application_says(make: Make) -> None:
    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        return ConnectAnswer(user="bob", expires_at=world.wall() + 60) if question.value == "bob" else ConnectAnswer()

    world = await make(connect=connect)
    named, nameless = world.connection(), world.connection()
    reply = await ask(world, named, 1, connect={"data": "bob"})
    assert list(reply["connect"]["subs"]) == ["#bob", "*"]
    assert (reply["connect"]["expires"], reply["connect"]["ttl"]) == (True, 45)
    assert await ask(world, nameless, 1, connect={"data": "eve"}) == {}
    assert nameless.closed is not None
    assert nameless.closed.code == 3501


@pytest.mark.parametrize("name", ["*", "a\nb", "x" * 300])
async def test_a_user_that_can_be_none_is_a_failure_of_the_hook(make: Make, name: str) -> None:
    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        return ConnectAnswer(user=name)

    world = await make(connect=connect)
    connection = world.connection()
    await ask(world, connection, 1, connect={})
    assert connection.closed is not None
    assert (connection.closed.code, world.hub.counters.hook_failures["connect"]) == (3004, 1)


@pytest.mark.parametrize("channels", [("nowhere:a",), ("#bob",), ("",), tuple(f"open:{n}" for n in range(2000))])
async def test_channels_that_cannot_be_are_a_mistake_of_the_hook(make: Make, channels: tuple[str, ...]) -> None:
    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        return ConnectAnswer(channels=channels)

    world = await make(connect=connect)
    connection = world.connection()
    await ask(world, connection, 1, connect={"token": world.token("alice")})
    assert connection.closed is not None
    assert connection.closed.code == 3004


async def test_the_user_of_a_token_cannot_be_changed(make: Make) -> None:
    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        return ConnectAnswer(user="mallory")

    world = await make(connect=connect)
    connection = world.connection()
    await ask(world, connection, 1, connect={"token": world.token("alice")})
    assert connection.closed is not None
    assert connection.closed.code == 3004
    assert world.hub.users == {}


async def test_connect_refuses_with_an_error_or_with_a_close_code(make: Make) -> None:
    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        raise Refuse(4501 if question.value == "final" else 1042, "not you")

    world = await make(connect=connect)
    told, ended = world.connection(), world.connection()
    reply = await ask(world, told, 1, connect={"token": world.token("alice")})
    assert reply["error"] == {"code": 1042, "message": "not you"}
    await ask(world, ended, 1, connect={"token": world.token("alice"), "data": "final"})
    assert ended.closed is not None
    assert ended.closed == (4501, "not you")
    assert not ended.closed.reconnect
    assert world.hub.counters.hook_refusals["connect"] == 2
    assert world.hub.sessions == {}


@pytest.mark.parametrize(
    ("hook", "count"),
    [
        (raising, "hook_failures"),
        (never, "hook_timeouts"),
        (nonsense, "hook_failures"),
        (no_time, "hook_failures"),
    ],
)
async def test_a_connect_that_fails_ends_the_connection_so_that_it_comes_again(
    make: Make, hook: Any, count: str
) -> None:
    world = await make(SHORT, connect=hook)
    connection = world.connection()
    await ask(world, connection, 1, connect={"token": world.token("alice")})
    assert connection.closed is not None
    assert connection.closed.code == 3004
    assert connection.closed.reconnect
    assert getattr(world.hub.counters, count) == {"connect": 1}


async def test_one_who_leaves_while_the_application_thinks_is_not_let_in(make: Make) -> None:
    gate = asyncio.Event()

    async def connect(question: ConnectQuestion) -> ConnectAnswer:
        await gate.wait()
        return ConnectAnswer()

    world = await make(connect=connect)
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("alice")}})
    await world.settle()
    connection.lose()
    gate.set()
    await world.settle()
    connected = (world.hub.sessions, dict(world.hub.users), world.hub.channels, len(world.hub.unauthenticated))
    assert connected == ({}, {}, {}, 0)


# authorize


async def test_authorize_opens_and_closes_what_the_options_say_and_leaves_the_rest(make: Make) -> None:
    asked: list[AuthorizeQuestion] = []
    word = {"closed:mine": True, "open:theirs": False}

    async def authorize(question: AuthorizeQuestion) -> AuthorizeAnswer:
        asked.append(question)
        return AuthorizeAnswer(word.get(question.channel))

    world = await make(authorize=authorize)
    connection = await world.connected("alice")
    assert "subscribe" in await ask(world, connection, 2, subscribe={"channel": "closed:mine"})
    assert (await ask(world, connection, 3, subscribe={"channel": "closed:other"}))["error"]["code"] == 103
    assert (await ask(world, connection, 4, subscribe={"channel": "open:theirs"}))["error"]["code"] == 103
    assert "subscribe" in await ask(world, connection, 5, subscribe={"channel": "open:all"})
    assert [(q.channel, q.verb, q.allowed) for q in asked] == [
        ("closed:mine", "subscribe", False),
        ("closed:other", "subscribe", False),
        ("open:theirs", "subscribe", True),
        ("open:all", "subscribe", True),
    ]


async def test_every_verb_is_asked_about(make: Make) -> None:
    asked: list[str] = []

    async def authorize(question: AuthorizeQuestion) -> AuthorizeAnswer:
        asked.append(question.verb)
        return AuthorizeAnswer(True)

    world = await make(authorize=authorize)
    connection = await world.connected("alice")
    assert "publish" in await ask(world, connection, 2, publish={"channel": "closed:x", "data": 1})
    assert "history" in await ask(world, connection, 3, history={"channel": "closed:x"})
    assert "presence" in await ask(world, connection, 4, presence={"channel": "open:x"})
    assert "presence_stats" in await ask(world, connection, 5, presence_stats={"channel": "open:x"})
    assert asked == ["publish", "history", "presence", "presence"]


async def test_channels_of_the_server_and_of_tokens_are_no_matter_of_the_application(make: Make) -> None:
    world = await make(authorize=raising)
    connection = await world.connected("alice", channels=["open:granted"])
    for number, channel in enumerate(("#alice", "#bob", "*", "!revoked"), 2):
        assert (await ask(world, connection, number, subscribe={"channel": channel}))["error"]["code"] in (
            102,
            103,
            105,
        )
    token = world.token("alice", channel="closed:x")
    assert "subscribe" in await ask(world, connection, 9, subscribe={"channel": "closed:x", "token": token})
    assert (await ask(world, connection, 10, subscribe={"channel": "nowhere:x"}))["error"]["code"] == 102
    assert world.hub.counters.hook_calls == {}


@pytest.mark.parametrize(
    ("hook", "code", "temporary"), [(refusing, 1042, False), (raising, 100, True), (never, 100, True)]
)
async def test_nobody_comes_in_where_authorize_refuses_or_fails(
    make: Make, hook: Any, code: int, temporary: bool
) -> None:
    world = await make(SHORT, authorize=hook)
    connection = await world.connected("alice")
    error = (await ask(world, connection, 2, subscribe={"channel": "open:x"}))["error"]
    assert (error["code"], error.get("temporary", False)) == (code, temporary)
    assert "open:x" not in world.hub.channels
    assert connection.closed is None


# publish


async def test_publish_sees_what_is_published_and_may_change_it(make: Make) -> None:
    asked: list[PublishQuestion] = []

    async def publish(question: PublishQuestion) -> PublishAnswer:
        asked.append(question)
        return PublishAnswer(b'{"said":\n%b}' % question.data) if question.value == "loud" else PublishAnswer()

    world = await make(publish=publish)
    connection = await world.subscribed("alice", "open:x")
    for number, data in enumerate(("loud", "quiet"), 3):
        assert "publish" in await ask(world, connection, number, publish={"channel": "open:x", "data": data})
    await world.settle()
    assert [p["data"] for p in connection.publications("open:x")] == [{"said": "loud"}, "quiet"]
    assert (asked[0].client.user, asked[0].channel) == ("alice", "open:x")
    assert "error" in await ask(world, connection, 5, publish={"channel": "closed:x", "data": 1})
    assert len(asked) == 2, "what is refused already is not asked about"


async def bad_json(question: PublishQuestion) -> PublishAnswer:
    return PublishAnswer(b'{"not": NaN}')


@pytest.mark.parametrize(("hook", "code"), [(refusing, 1042), (raising, 100), (never, 100), (bad_json, 100)])
async def test_nothing_is_published_where_the_application_refuses_or_fails(make: Make, hook: Any, code: int) -> None:
    world = await make(SHORT, publish=hook)
    connection = await world.subscribed("alice", "open:x")
    reply = await ask(world, connection, 3, publish={"channel": "open:x", "data": 1})
    assert reply["error"]["code"] == code
    assert connection.publications("open:x") == []
    assert (await world.broker.read_page("open:x")).position.offset == 0


# rpc and event


async def test_a_call_is_answered_by_the_application(make: Make) -> None:
    async def rpc(question: RpcQuestion) -> RpcAnswer:
        assert question.client.user == "alice"
        return RpcAnswer(b"[%b]" % question.data) if question.method == "echo" else RpcAnswer()

    world = await make(rpc=rpc)
    connection = await world.connected("alice")
    assert (await ask(world, connection, 2, rpc={"method": "echo", "data": {"a": 1}})) == {
        "id": 2,
        "rpc": {"data": [{"a": 1}]},
    }
    assert (await ask(world, connection, 3, rpc={"method": "nothing"}))["rpc"] == {"data": None}


@pytest.mark.parametrize(("hook", "code"), [(refusing, 1042), (raising, 100), (never, 100), (nonsense, 100)])
async def test_a_call_that_is_refused_or_fails_is_an_error_and_no_end(make: Make, hook: Any, code: int) -> None:
    world = await make(SHORT, rpc=hook)
    connection = await world.connected("alice")
    assert (await ask(world, connection, 2, rpc={"data": 1}))["error"]["code"] == code
    assert connection.closed is None


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_whatever_a_hook_raises_its_call_is_answered_and_the_gateway_goes_on(
    make: Make, error: type[BaseException]
) -> None:
    async def rpc(question: RpcQuestion) -> RpcAnswer:
        if question.method == "bad":
            raise error()
        return RpcAnswer()

    world = await make(rpc=rpc)
    connection = await world.connected("alice")
    assert (await ask(world, connection, 2, rpc={"method": "bad"}))["error"]["code"] == 100
    assert (await ask(world, connection, 3, rpc={"method": "good"}))["rpc"] == {"data": None}
    assert world.hub.counters.hook_failures == {"rpc": 1}


async def test_a_hook_that_takes_no_cancellation_keeps_its_client_no_longer_than_others(make: Make) -> None:
    freed = asyncio.Event()

    async def rpc(question: RpcQuestion) -> RpcAnswer:
        while question.method == "bad" and not freed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await freed.wait()
        return RpcAnswer()

    world = await make(SHORT, rpc=rpc)
    connection = await world.connected("alice")
    try:
        connection.send({"id": 2, "rpc": {"method": "bad"}})
        await until(lambda: connection.replies(2))
        assert connection.replies(2)[0]["error"]["code"] == 100
        assert (await ask(world, connection, 3, rpc={"method": "good"}))["rpc"] == {"data": None}
        assert world.hub.counters.hook_timeouts == {"rpc": 1}
    finally:
        freed.set()


async def test_the_end_of_the_hub_waits_for_no_hook_that_takes_no_cancellation(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    freed = asyncio.Event()

    async def rpc(question: RpcQuestion) -> RpcAnswer:
        HANDLER.set("app.deaf")
        while not freed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await freed.wait()
        return RpcAnswer()

    world = await make(SHORT, rpc=rpc)
    connection = await world.connected("alice")
    connection.send({"id": 2, "rpc": {"method": "bad"}})
    await world.settle()
    try:
        await world.hub.close()
        await until(lambda: world.hub.counters.hook_timeouts == {"rpc": 1})
        [late] = [record for record in caplog.records if record.message == "hook_timed_out"]
        assert vars(late)["handler"] == "app.deaf"
        assert late.exc_info is not None
        assert "freed.wait()" in "".join(traceback.format_exception(*late.exc_info))
    finally:
        freed.set()


async def test_a_message_reaches_the_application_and_has_no_answer(make: Make) -> None:
    told: list[ClientEvent] = []

    async def event(question: ClientEvent) -> None:
        told.append(question)
        if question.value == "bad":
            raise Refuse(4500, "nobody hears this")

    world = await make(event=event)
    connection = await world.connected("alice")
    before = len(connection.written)
    connection.send({"send": {"data": {"a": 1}}}, {"send": {"data": "bad"}}, {"send": {"data": 3}})
    await world.settle()
    assert [each.value for each in told] == [{"a": 1}, "bad", 3]
    assert (len(connection.written), connection.closed) == (before, None)
    assert world.hub.counters.messages_dropped == 0
    assert world.hub.counters.hook_refusals["event"] == 1


# refresh and disconnect


async def test_refresh_may_shorten_what_a_token_gives_and_show_somebody_anew(make: Make) -> None:
    asked: list[RefreshQuestion] = []

    async def refresh(question: RefreshQuestion) -> RefreshAnswer:
        asked.append(question)
        return RefreshAnswer(expires_at=world.wall() + 60, info=b'{"level":2}')

    world = await make(refresh=refresh)
    connection = await world.connected("alice")
    reply = await ask(world, connection, 2, refresh={"token": world.token("alice", 7200)})
    assert (reply["refresh"]["expires"], reply["refresh"]["ttl"]) == (True, 45)
    assert asked[0].expires_at == world.wall() + 7200
    assert connection.session is not None
    assert connection.session.info is not None
    assert bytes(connection.session.info.conn_info) == b'{"level":2}'  # type: ignore[arg-type]


@pytest.mark.parametrize(("hook", "code"), [(refusing, 1042), (raising, 100), (never, 100)])
async def test_a_refresh_that_is_refused_or_fails_changes_nothing(make: Make, hook: Any, code: int) -> None:
    world = await make(SHORT, refresh=hook)
    connection = await world.connected("alice")
    assert connection.session is not None
    before = connection.session.expires_at
    reply = await ask(world, connection, 2, refresh={"token": world.token("alice", 7200)})
    assert reply["error"]["code"] == code
    assert connection.session.expires_at == before


async def test_the_application_is_told_of_everybody_who_was_in_and_has_gone(make: Make) -> None:
    told: list[DisconnectNotice] = []

    async def disconnect(notice: DisconnectNotice) -> None:
        told.append(notice)
        raise RuntimeError("which changes nothing")

    world = await make(disconnect=disconnect)
    left, ended, never_in = await world.connected("alice"), await world.connected("bob"), world.connection()
    left.lose()
    assert ended.session is not None
    ended.session.disconnect(SERVER_ERROR)
    never_in.lose()
    await world.settle()
    assert [(each.client.user, each.code) for each in told] == [("alice", 0), ("bob", 3004)]
    assert world.hub.counters.hook_failures["disconnect"] == 2


async def test_the_application_is_told_of_those_who_are_sent_away_at_the_end() -> None:
    told: list[str] = []

    async def disconnect(notice: DisconnectNotice) -> None:
        await asyncio.sleep(0.01)
        told.append(notice.client.user)

    world = World(hooks=Hooks(disconnect=disconnect))
    await world.hub.start()
    for user in ("alice", "bob"):
        await world.connected(user)
    await world.close()
    assert told == ["alice", "bob"]


# So many at once


async def test_only_so_many_calls_are_made_at_once_and_others_wait_their_turn(make: Make) -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    async def rpc(question: RpcQuestion) -> RpcAnswer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return RpcAnswer(question.data)

    world = await make(Limits(hooks=HookLimits(hook_concurrency=3)), rpc=rpc)
    crowd = [await world.connected(f"user{number}") for number in range(10)]
    for connection in crowd:
        connection.send({"id": 2, "rpc": {"data": 1}})
    await world.settle()
    assert running == 3
    gate.set()
    await until(lambda: all(connection.replies(2) for connection in crowd))
    assert (most, running) == (3, 0)
    assert all("rpc" in connection.replies(2)[0] for connection in crowd)


async def test_who_would_wait_too_long_is_refused_and_other_kinds_are_not_held_up(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_calls, "LINE", 1)

    async def event(question: ClientEvent) -> None:
        told.append(question)

    told: list[ClientEvent] = []
    world = await make(Limits(hooks=HookLimits(hook_concurrency=1)), rpc=never, event=event)
    crowd = [await world.connected(f"user{number}") for number in range(3)]
    for connection in crowd:
        connection.send({"id": 2, "rpc": {"data": 1}})
        await world.settle()
    assert crowd[2].replies(2)[0]["error"] == {"code": 111, "message": "too many requests", "temporary": True}
    assert world.hub.counters.hook_overloads == {"rpc": 1}
    crowd[2].send({"send": {"data": 1}})
    await world.settle()
    assert len(told) == 1
    crowd[0].lose()  # its call ends with it, and the next has its place
    await world.settle()
    assert not crowd[1].replies(2)


async def test_the_time_a_call_waits_for_its_turn_counts(make: Make) -> None:
    world = await make(Limits(hooks=HookLimits(hook_concurrency=1, hook_timeout=0.05)), rpc=never)
    crowd = [await world.connected(f"user{number}") for number in range(3)]
    for connection in crowd:
        connection.send({"id": 2, "rpc": {"data": 1}})
    await until(lambda: all(connection.replies(2) for connection in crowd))
    assert world.hub.counters.hook_timeouts == {"rpc": 3}


async def test_the_time_of_what_nobody_waits_for_begins_when_it_is_told(make: Make) -> None:
    """Thousands may leave at once; of each the application is told, however slowly it listens."""
    told: list[str] = []

    async def disconnect(notice: DisconnectNotice) -> None:
        await asyncio.sleep(0.02)
        told.append(notice.client.user)

    world = await make(Limits(hooks=HookLimits(hook_timeout=1.0, hook_concurrency=1)), disconnect=disconnect)
    people = [await world.connected(f"user-{number}") for number in range(60)]
    for connection in people:
        connection.lose()
    await until(lambda: len(told) == len(people))
    assert world.hub.counters.hook_timeouts == {}


async def test_a_time_limit_of_the_applications_own_is_a_failure_like_others(make: Make) -> None:
    async def rpc(question: RpcQuestion) -> RpcAnswer:
        raise TimeoutError("its database")

    world = await make(rpc=rpc)
    connection = await world.connected("alice")
    assert (await ask(world, connection, 2, rpc={}))["error"]["code"] == 100
    assert (world.hub.counters.hook_timeouts, world.hub.counters.hook_failures) == ({}, {"rpc": 1})


async def test_a_hook_runs_in_a_task_wherever_the_command_came_from(make: Make) -> None:
    async def rpc(question: RpcQuestion) -> RpcAnswer:
        async with asyncio.timeout(5):  # which asks for one
            await asyncio.sleep(0)
        return RpcAnswer(question.data)

    world = await make(rpc=rpc)
    connection = await world.connected("alice")
    asyncio.get_running_loop().call_soon(connection.send, {"id": 2, "rpc": {"data": 1}})
    await until(lambda: connection.replies(2))
    assert connection.replies(2)[0]["rpc"] == {"data": 1}


async def test_a_call_ends_with_the_connection_that_made_it(make: Make) -> None:
    ended = asyncio.Event()

    async def rpc(question: RpcQuestion) -> RpcAnswer:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return RpcAnswer()

    world = await make(rpc=rpc)
    connection = await world.connected("alice")
    connection.send({"id": 2, "rpc": {"data": 1}})
    await world.settle()
    connection.lose()
    async with asyncio.timeout(10):
        await ended.wait()
    assert world.hub.counters.hook_failures == {}


async def test_a_failure_is_in_the_log_with_its_traceback(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = await make(rpc=raising)
    connection = await world.connected("alice")
    await ask(world, connection, 2, rpc={})
    [record] = [record for record in caplog.records if record.message == "hook_failed"]
    assert (record.__dict__["hook"], record.__dict__["error"]) == ("rpc", "RuntimeError('a bug in the application')")
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError


async def test_without_hooks_nothing_is_asked_and_calls_are_not_available(make: Make) -> None:
    world = await make()
    connection = await world.subscribed("alice", "open:x")
    assert (await ask(world, connection, 3, rpc={"data": 1}))["error"]["code"] == 108
    connection.send({"send": {"data": 1}})
    await world.settle()
    assert world.hub.counters.messages_dropped == 1
    assert world.hub.counters.hook_calls == {}


# connect and disconnect together


class Comings:
    """An application that counts, and takes as long to let in as the test says."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []
        self.ended: list[DisconnectNotice] = []

    async def connect(self, question: ConnectQuestion) -> ConnectAnswer:
        self.asked.append(question.client.client)
        await self.gate.wait()
        if question.value == "refuse":
            raise Refuse(1042, "not today")
        return ConnectAnswer(user="bob")

    async def disconnect(self, notice: DisconnectNotice) -> None:
        self.ended.append(notice)


async def test_who_left_while_the_application_decided_has_an_end_too(make: Make) -> None:
    application = Comings()
    world = await make(connect=application.connect, disconnect=application.disconnect)
    connection = world.connection()
    connection.send({"id": 1, "connect": {"token": world.token("bob")}})
    await until(lambda: application.asked)
    assert connection.session is not None
    client = connection.session.client
    connection.session.lost()
    await asyncio.sleep(0)
    assert not application.ended, "the end does not come before the beginning"
    application.gate.set()
    await until(lambda: application.ended)
    assert [(notice.client.client, notice.client.user) for notice in application.ended] == [(client, "bob")]


async def test_whom_the_application_let_in_and_the_gateway_did_not_has_an_end_too(make: Make) -> None:
    application = Comings()
    application.gate.set()
    world = await make(Limits(connections_per_user=1), connect=application.connect, disconnect=application.disconnect)
    first, second = world.connection(), world.connection()
    await ask(world, first, 1, connect={})
    second.send({"id": 1, "connect": {}})
    await until(lambda: second.closed)
    await until(lambda: application.ended)
    assert first.closed is None
    assert [(notice.client.client, notice.code) for notice in application.ended] == [(application.asked[1], 3404)]
    assert first.session is not None
    first.session.lost()
    await until(lambda: len(application.ended) == 2)
    assert application.ended[1].client.client == application.asked[0]


async def test_whom_the_application_refused_has_no_end(make: Make) -> None:
    application = Comings()
    application.gate.set()
    world = await make(connect=application.connect, disconnect=application.disconnect)
    connection = world.connection()
    assert (await ask(world, connection, 1, connect={"data": "refuse"}))["error"]["code"] == 1042
    assert connection.session is not None
    connection.session.lost()
    await world.close()
    assert application.ended == []


async def test_at_the_end_of_the_gateway_everybody_let_in_has_an_end(make: Make) -> None:
    application = Comings()
    world = await make(connect=application.connect, disconnect=application.disconnect)
    connections = [world.connection() for _ in range(3)]
    for connection in connections:
        connection.send({"id": 1, "connect": {"token": world.token("bob")}})
    await until(lambda: len(application.asked) == 3)
    closing = asyncio.ensure_future(world.hub.close())
    await asyncio.sleep(0)
    application.gate.set()
    await closing
    assert sorted(notice.client.client for notice in application.ended) == sorted(application.asked)
