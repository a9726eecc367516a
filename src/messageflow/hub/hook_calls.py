"""Calls of the application's hooks: within a time, so many at once, and with one way to fail for each kind.

A call that finds all places taken waits in line, within its own time; where the line is too long it is refused at once.
Each kind has places and a line of its own, so that a slow `rpc` keeps nobody from connecting.

Owns the places. Never decides anything itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from math import isnan
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET

from messageflow.core.codes import (
    CLOSE_CODES,
    INTERNAL,
    OUTCOME_UNKNOWN,
    SERVER_ERROR,
    TOO_MANY_REQUESTS,
    CommandRefused,
    Disconnect,
    Disconnected,
    ErrorCode,
)
from messageflow.core.json import check_readable, compact
from messageflow.core.users import explain_user, is_user
from messageflow.errors import ConfigurationError, Refuse, show
from messageflow.hub.hooks import (
    ANSWERS,
    HANDLER,
    NOTICES,
    AnswerLost,
    ApplicationAway,
    AuthorizeAnswer,
    AuthorizeQuestion,
    ChannelNotice,
    ClientEvent,
    ClientView,
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
    name_task,
)
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session
from messageflow.hub.tracebacks import shorten, trace_coroutine

LINE = 10_000  # calls of one kind that may wait for a place; each is one command, of a session that waits for it
LINE_OF_NOTICES = 50_000  # the same of what nobody waits for, some 3 KB each: all who leave at once, and more
PATIENCE = 1.0  # seconds beyond its time in which a hook that was cancelled should end
END_OF_SESSION = name_task("disconnect")  # the name of tasks that tell of it
AWAY = INTERNAL._replace(message="the application is away")  # so that nothing has begun, and a key may be used again

Question = TypeVar("Question")
Reply = TypeVar("Reply")


def describe(session: Session) -> ClientView:
    """Return who a session is, as hooks see it."""
    info = session.info.conn_info if session.info is not None else UNSET
    connection = session.connection
    shown = b"" if info is UNSET else bytes(info)
    return ClientView(session.user, session.client, connection.address, shown, connection.headers)


def check_answer(kind: str, answer: Any) -> Any:
    """Return an answer with its JSON on one line.

    Raises:
        TypeError: it is none.
        ValueError: its JSON is not such as every receiver can read.
    """
    expected = ANSWERS[kind]
    if not isinstance(answer, expected):
        raise TypeError(f"a {kind} hook answers with {expected.__name__}, not {type(answer).__name__}")
    if isinstance(answer, ConnectAnswer) and answer.user and not is_user(answer.user):
        raise ValueError(explain_user(answer.user, "no user is called so"))
    if isinstance(answer, ConnectAnswer | RefreshAnswer) and answer.expires_at is not None and isnan(answer.expires_at):
        raise ValueError("expires_at is a time in seconds since 1970, and not NaN")
    changes = {}
    for field in ("data", "info"):
        if data := getattr(answer, field, None):
            changes[field] = compact(data)
            check_readable(changes[field])
    return msgspec.structs.replace(answer, **changes) if changes else answer


class Hook(Generic[Question, Reply]):
    """One kind of hook.

    Args:
        runtime: limits, counters and log.
        kind: its name.
        function: the application's.
        places: calls at once, otherwise as many as the limits say.
        seconds: that a call may take, otherwise as many as the limits say.
    """

    def __init__(
        self,
        runtime: Runtime,
        kind: str,
        function: Callable[[Question], Awaitable[Reply]],
        places: int = 0,
        seconds: float = 0.0,
    ) -> None:
        self._runtime = runtime
        self._kind = kind
        self._function = function
        self._timeout = seconds or runtime.limits.hooks.hook_timeout
        self._is_notice = kind in NOTICES
        self._line = LINE_OF_NOTICES if self._is_notice else LINE
        self._places = asyncio.Semaphore(places or runtime.limits.hooks.hook_concurrency)
        self._waiting = 0
        self._expired: set[asyncio.Task[Any]] = set()  # attempts that are over their time, until they end

    async def ask(self, question: Question) -> Reply:
        """Return what the application answers. The hook runs in a task of its own, as coroutines of others expect to.

        Cancelling it cancels the hook, or leaves it to end by itself where it runs on a thread.

        Raises:
            CommandRefused: the application refuses, or has failed.
            Disconnected: it refuses with a close code, or has failed where nothing else can be said.
        """
        counters = self._runtime.counters
        counters.hook_calls[self._kind] += 1
        if self._waiting >= self._line:
            counters.hook_overloads[self._kind] += 1
            self._runtime.log_limited(logging.ERROR, "hook_overloaded", hook=self._kind, waiting=self._waiting)
            raise self._fail(TOO_MANY_REQUESTS)
        if self._is_notice:
            await self._take_place()
        context = copy_context()  # in which the function that is called is named
        attempt = self._runtime.spawn(self._attempt(question), name_task(self._kind), context)
        if self._is_notice:
            attempt.add_done_callback(self._free_place)
        outcome = await self._await(attempt, context)
        if isinstance(outcome, CommandRefused | Disconnected):
            raise outcome
        return outcome

    async def _await(
        self, attempt: asyncio.Task[Reply | CommandRefused | Disconnected], context: Context
    ) -> Reply | CommandRefused | Disconnected:
        """Return what an attempt comes to. A hook that does not end when it is told to has failed, and goes on.

        One timer and one future of our own, and neither `asyncio.timeout` nor `asyncio.wait`, take 25 µs of CPU from a
        call (benchmarks: handlers).
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Reply | CommandRefused | Disconnected] = loop.create_future()
        timer = loop.call_later(self._timeout, self._expire, attempt, context, outcome)
        attempt.add_done_callback(partial(_hand_on, outcome, timer))
        try:
            return await outcome
        except asyncio.CancelledError:
            attempt.cancel()
            raise

    def _expire(
        self,
        attempt: asyncio.Task[Reply | CommandRefused | Disconnected],
        context: Context,
        outcome: asyncio.Future[Reply | CommandRefused | Disconnected],
    ) -> None:
        self._expired.add(attempt)
        attempt.add_done_callback(self._expired.discard)
        attempt.cancel()
        asyncio.get_running_loop().call_later(PATIENCE, self._give_up, attempt, context, outcome)

    def _give_up(
        self,
        attempt: asyncio.Task[Reply | CommandRefused | Disconnected],
        context: Context,
        outcome: asyncio.Future[Reply | CommandRefused | Disconnected],
    ) -> None:
        """Leave one that takes no cancellation to itself: neither its client nor the end of the hub waits for it."""
        if attempt.done():
            return
        self._runtime.tasks.discard(attempt)
        error = TimeoutError("it takes no cancellation").with_traceback(trace_coroutine(attempt.get_coro()))
        self._note_failure(error, context.get(HANDLER, ""), timed_out=True)
        if not outcome.done():
            outcome.set_result(self._fail(INTERNAL))

    async def tell(self, question: Question) -> None:
        """Ask where nobody waits for the answer: a refusal or a failure is counted and logged, and that is all."""
        try:
            await self.ask(question)
        except CommandRefused as refused:
            if self._kind == "event":  # which a page would otherwise never hear of, such as a name that nobody handles
                self._runtime.log_limited(
                    logging.WARNING, "event_refused", code=refused.error.code, reason=refused.error.message
                )
        except Disconnected:
            return

    async def _attempt(self, question: Question) -> Reply | CommandRefused | Disconnected:
        try:
            answer: Reply = check_answer(self._kind, await self._call(question))
            return answer
        except Refuse as refusal:
            self._runtime.counters.hook_refusals[self._kind] += 1
            return _as_refused(refusal)
        except ApplicationAway:
            self._runtime.counters.hook_failures[self._kind] += 1
            return self._fail(AWAY)
        except BaseException as error:  # a `sys.exit()` of the application, too, ends its call and not the gateway
            expired = asyncio.current_task() in self._expired
            if not expired and _is_cancelled():
                raise
            self._note_failure(error, HANDLER.get(), timed_out=expired)
            return self._fail(OUTCOME_UNKNOWN if isinstance(error, AnswerLost) else INTERNAL)

    async def _call(self, question: Question) -> Reply:
        if self._is_notice:
            return await self._function(question)
        await self._take_place()
        try:
            return await self._function(question)
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def _free_place(self, _: asyncio.Task[Any]) -> None:
        self._places.release()

    def _note_failure(self, error: BaseException, handler: str, *, timed_out: bool) -> None:
        runtime, kind = self._runtime, self._kind
        fields: dict[str, object] = {"hook": kind, "handler": handler} if handler else {"hook": kind}
        if timed_out:
            runtime.counters.hook_timeouts[kind] += 1
            runtime.log_limited(
                logging.ERROR, "hook_timed_out", **fields, seconds=self._timeout, exception=shorten(error)
            )
        else:
            runtime.counters.hook_failures[kind] += 1
            runtime.log_limited(logging.ERROR, "hook_failed", **fields, error=show(error), exception=shorten(error))

    def _fail(self, error: ErrorCode) -> CommandRefused | Disconnected:
        """Return how a client is told that the application has failed."""
        if self._kind == "connect":
            return Disconnected(SERVER_ERROR, "the connect hook of the application has failed")
        return CommandRefused(error)


def _hand_on(outcome: asyncio.Future[Any], timer: asyncio.TimerHandle, attempt: asyncio.Task[Any]) -> None:
    """Give what an attempt came to, to who waits for it."""
    timer.cancel()
    if outcome.done():
        return
    if attempt.cancelled():
        outcome.cancel()
    elif (error := attempt.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(attempt.result())


def _is_cancelled() -> bool:
    """Whether this task is: a hook that awaits a task of its own which is cancelled raises the same."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _as_refused(refusal: Refuse) -> CommandRefused | Disconnected:
    if refusal.code < CLOSE_CODES.start:
        return CommandRefused(ErrorCode(refusal.code, refusal.message, refusal.temporary))
    return Disconnected(Disconnect(refusal.code, refusal.message))


class HookCalls:
    """The hooks of one hub's application, each None where there is none.

    Args:
        runtime: limits, counters and log.
        hooks: the application's.

    Attributes:
        any: whether there is any.
    """

    def __init__(self, runtime: Runtime, hooks: Hooks) -> None:
        self.connect: Hook[ConnectQuestion, ConnectAnswer] | None = None
        self.disconnect: Hook[DisconnectNotice, None] | None = None
        self.authorize: Hook[AuthorizeQuestion, AuthorizeAnswer] | None = None
        self.publish: Hook[PublishQuestion, PublishAnswer] | None = None
        self.rpc: Hook[RpcQuestion, RpcAnswer] | None = None
        self.event: Hook[ClientEvent, None] | None = None
        self.refresh: Hook[RefreshQuestion, RefreshAnswer] | None = None
        self.occupied: Hook[ChannelNotice, None] | None = None
        self.vacated: Hook[ChannelNotice, None] | None = None
        self._runtime = runtime
        self._let_in: dict[str, ClientView] = {}  # by the connect hook, and not ended; only where there is one
        self.any = False
        for kind, function in hooks._asdict().items():
            if function is not None:
                self.add(kind, function)

    def add(self, kind: str, function: Callable[[Any], Awaitable[Any]], places: int = 0, seconds: float = 0.0) -> None:
        """Ask this hook from now on, so many times at once, for so long each. May be called on any thread.

        Raises:
            ConfigurationError: the application has brought one of this kind already.
        """
        if getattr(self, kind) is not None:
            raise ConfigurationError(
                f"{kind} is decided twice, by functions that --hooks names and by handlers of a Flow: keep one of them"
            )
        setattr(self, kind, Hook(self._runtime, kind, function, places, seconds))
        self.any = True

    def remove(self, kind: str) -> None:
        """Ask this hook no more: the application has none any longer."""
        setattr(self, kind, None)

    async def let_in(
        self, hook: Hook[ConnectQuestion, ConnectAnswer], session: Session, question: ConnectQuestion
    ) -> ConnectAnswer:
        """Ask whether somebody may come in. Of whom the application has let in it is told the end, once, come what may.

        Cancelling it, as when the client leaves meanwhile, leaves the question to be answered: the end is told then.
        """
        asking = self._runtime.spawn(self._ask_to_let_in(hook, session, question), name=END_OF_SESSION)
        answer = await asyncio.shield(asking)
        if isinstance(answer, ConnectAnswer):
            return answer
        raise answer

    async def _ask_to_let_in(
        self, hook: Hook[ConnectQuestion, ConnectAnswer], session: Session, question: ConnectQuestion
    ) -> ConnectAnswer | CommandRefused | Disconnected:
        try:
            answer = await hook.ask(question)
        except (CommandRefused, Disconnected) as refusal:
            return refusal
        user = question.client.user or answer.user or ""
        self._let_in[session.client] = msgspec.structs.replace(question.client, user=user)
        if session.closed and (notice := self._take_notice(session, False, None)) is not None:
            assert self.disconnect is not None
            await self.disconnect.tell(notice)
        return answer

    def note_end(self, session: Session, was_in: bool, why: Disconnect | None, *, told: bool) -> None:
        """A session has ended: tell the application where it knows of it.

        Args:
            session: which.
            was_in: whether it was connected.
            why: the server's decision, None where it made none.
            told: whether another node has told it already.
        """
        if told:
            self._let_in.pop(session.client, None)
        elif (notice := self._take_notice(session, was_in, why)) is not None:
            assert self.disconnect is not None
            self._runtime.spawn(self.disconnect.tell(notice), name=END_OF_SESSION)

    def _take_notice(self, session: Session, was_in: bool, why: Disconnect | None) -> DisconnectNotice | None:
        known = self._let_in.pop(session.client, None)
        if self.disconnect is None or (known is None and not was_in):
            return None
        return DisconnectNotice(describe(session) if was_in or known is None else known, *(why or ()))
