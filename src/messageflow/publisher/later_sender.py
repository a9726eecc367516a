"""The thread that sends what waits, one for each gateway and process, while there is something to send.

Owns the threads, and what waits for them. A call is put down in a microsecond and never waits for a gateway that is
away. One that answers is waited for a moment where the queue is full, so that a loop faster than the gateway goes on
at the gateway's pace instead of losing calls; never on an event loop, which the gateway itself may need.

A forked child begins with nothing of this: its parent's calls are its parent's to send. `threading` and `time` are used
through their modules, and locks are made with the first call, so that gevent's patched versions are found.
"""

from __future__ import annotations

import atexit
import logging
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from messageflow.client_io.processes import PerProcess
from messageflow.core.backoff import Backoff
from messageflow.core.codes import INTERNAL
from messageflow.core.line_rates import LineRates
from messageflow.errors import MessageflowError, PayloadTooLarge, Refused
from messageflow.publisher import batch
from messageflow.publisher.batch import make_batch_call
from messageflow.publisher.call import Call
from messageflow.publisher.later_queue import LaterQueue, LaterStats
from messageflow.publisher.results import Receipt

Outcomes = list[Receipt | Refused]
Perform = Callable[[Call[Outcomes]], Outcomes]

IDLE_SECONDS = 5.0  # without a call, after which the thread ends
PATIENCE = 1.0  # seconds that a call waits for room, where the gateway answers
FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 2.0  # seconds; each attempt is several within a second
LINES_PER_SECOND = 1 / 60  # of one kind, in the log, after the first
EXIT_SECONDS = 2.0  # at the end of the process, for what waits then

log = logging.getLogger("messageflow.later")
_spread = random.SystemRandom().random  # of the system, for forked children would all draw the same


class LaterSender:
    """Sends what waits for one gateway.

    Args:
        perform: sends one request, with retries within a timeout of its own.
        queue: what waits, and within which bounds.
    """

    def __init__(self, perform: Perform, queue: LaterQueue | None = None) -> None:
        self._perform = perform
        self._queue = LaterQueue() if queue is None else queue
        self._changed = threading.Condition(threading.RLock())  # which a signal's handler may take a second time
        self._thread: threading.Thread | None = None
        self._is_idle = False
        self._is_away = False  # the gateway; or it has made no room within the patience of a call
        self._is_hurried = False
        self._most = batch.COMMANDS
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, _spread)
        self._lines = LineRates(burst=1, per_second=LINES_PER_SECOND)
        self._unsaid: deque[tuple[int, str, tuple[object, ...], Exception | None]] = deque()

    @property
    def stats(self) -> LaterStats:
        """What became of its calls."""
        with self._changed:
            return self._queue.stats

    def put(self, command: bytes) -> None:
        """Let a call of the API be sent, after those that were put before."""
        with self._changed:
            if not self._queue.has_room(command):
                self._wait_for_room(command)
            if self._queue.put(command, time.monotonic()):
                so_far = self._queue.stats.dropped_full
                self._note("so many calls of flow.later wait that the oldest are dropped, %d so far", so_far)
            self._go_on()
        self._log()

    def flush(self, timeout: float) -> bool:
        """Wait until what waits now has an outcome; a gateway that is away is tried at once.

        Returns:
            Whether it has.
        """
        with self._changed:
            newest = self._queue.newest
            self._is_hurried = True
            self._changed.notify_all()
            if len(self._queue):
                self._go_on()
            return self._changed.wait_for(lambda: self._queue.settled >= newest, timeout)

    def _wait_for_room(self, command: bytes) -> None:
        if self._is_away or _is_on_a_loop():
            return
        self._go_on()
        if not self._changed.wait_for(lambda: self._is_away or self._queue.has_room(command), PATIENCE):
            self._is_away = True

    def _go_on(self) -> None:
        """See to it that somebody sends."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="messageflow-later", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter ends; the next call tries again
                self._thread = None
                self._note("flow.later cannot start its thread: %s", error)
        elif self._is_idle:
            self._is_idle = False
            self._changed.notify_all()

    # In the thread

    def _run(self) -> None:
        try:
            while commands := self._take():
                self._send(commands)
                self._log()
        except BaseException:  # a greenlet that is killed, for one: the next call starts another
            with self._changed:
                self._queue.put_back()
                self._thread = None
            raise

    def _take(self) -> list[bytes]:
        """Return what to send next, once there is something; nothing when there was nothing for a while."""
        with self._changed:
            while not (commands := self._queue.take(self._most)):
                self._is_idle = True
                self._changed.wait_for(lambda: not self._is_idle, IDLE_SECONDS)
                if self._is_idle:
                    self._is_idle = False
                    self._thread = None  # under the lock, so that no call is put down for a thread that ends
                    break
            return commands

    def _send(self, commands: list[bytes]) -> None:
        try:
            outcomes = self._perform(make_batch_call(commands))
        except Exception as error:
            with self._changed:
                pause = self._note_failure(error, len(commands))
            self._log()
            self._pause(pause)
            return
        with self._changed:
            self._settle([outcome for outcome in outcomes if isinstance(outcome, Refused)])

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_hurried, seconds)
            self._is_hurried = False
            self._drop_old()

    def _settle(self, refused: list[Refused]) -> None:
        self._queue.settle(len(refused))
        if refused:
            self._note_refusal(refused[0])
        self._most = batch.COMMANDS
        self._backoff.reset()
        if self._is_away:
            self._is_away = False
            self._note("flow.later sends again, %d calls still wait", len(self._queue), level=logging.INFO)
        self._changed.notify_all()

    def _note_failure(self, error: Exception, count: int) -> float:
        """Decide what becomes of a request that failed. Returns the seconds to wait before the next."""
        if _is_refusal(error):  # of the request; which of its calls is at fault, smaller ones tell
            if count > 1:
                self._queue.put_back()
                self._most = count // 2
            else:
                self._queue.settle(refused=1)
                self._note_refusal(error)
                self._changed.notify_all()
            return 0.0
        self._queue.put_back()
        self._is_away = True
        unexpected = None if isinstance(error, MessageflowError) else error
        self._note("%d calls of flow.later wait: %s", len(self._queue), error, trace=unexpected)
        self._drop_old()
        self._changed.notify_all()
        return self._backoff.fail()

    def _drop_old(self) -> None:
        if self._queue.drop_old(time.monotonic()):
            so_far = self._queue.stats.dropped_old
            self._note("calls of flow.later waited too long and are dropped, %d so far", so_far, level=logging.ERROR)
            self._changed.notify_all()

    # The log. Never under the lock: a handler may wait for another thread's call, and may make one itself

    def _note_refusal(self, error: Exception) -> None:
        so_far = self._queue.stats.refused
        self._note("a call of flow.later was refused, %d so far: %s", so_far, error, level=logging.ERROR)

    def _note(self, text: str, *details: object, level: int = logging.WARNING, trace: Exception | None = None) -> None:
        if self._lines.take(text, time.monotonic()) is not None:
            self._unsaid.append((level, text, details, trace))

    def _log(self) -> None:
        while self._unsaid:
            try:
                level, text, details, trace = self._unsaid.popleft()
            except IndexError:  # another thread has said it
                return
            log.log(level, text, *details, exc_info=trace)


def _is_refusal(error: Exception) -> bool:
    """Whether another attempt with the same call would fare the same."""
    return isinstance(error, PayloadTooLarge) or (isinstance(error, Refused) and error.code != INTERNAL.code)


def _is_on_a_loop() -> bool:
    """Whether an event loop runs this code."""
    events = sys.modules.get("asyncio")
    return events is not None and events._get_running_loop() is not None


_senders: PerProcess[Hashable, LaterSender] = PerProcess()


def get_sender(target: Hashable, make: Callable[[], Perform]) -> LaterSender:
    """Return what sends to a target in this process.

    Args:
        target: equal ones share a sender.
        make: makes what sends a request there.
    """
    senders = _senders.table()
    if (sender := senders.get(target)) is not None:
        return sender
    if not senders:
        _end_with_the_process()
    return senders.setdefault(target, LaterSender(make()))


def flush_all(timeout: float) -> int:
    """Wait until all that waits in this process has an outcome, or time is over. Returns how many still have none."""
    deadline = time.monotonic() + timeout
    senders = [sender for sender in _senders.table().values() if sender.stats.waiting]
    for sender in senders:
        sender.flush(max(0.0, deadline - time.monotonic()))
    return sum(sender.stats.waiting for sender in senders)


def flush_at_exit() -> None:
    """Send what waits before the process ends, and say how much was lost."""
    if lost := flush_all(EXIT_SECONDS):
        log.error("%d calls of flow.later are lost: no gateway took them before the process ended", lost)
        _senders.table().clear()  # said once


def _end_with_the_process() -> None:
    """Let the end of this process wait for what is still to be sent.

    Processes that `multiprocessing` or Celery's `billiard` forked end without a word to `atexit`.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        if (library := sys.modules.get(name)) is not None:
            library.Finalize(None, flush_at_exit, exitpriority=100)


atexit.register(flush_at_exit)
