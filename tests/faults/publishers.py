"""A producer of a fault run: a process of its own, so that it can be killed in the middle of what it does.

    python -m tests.faults.publishers '{"name": …, "url": …, "history": …, …}'

It publishes one after the other until its standard input is closed, with nothing but `messageflow.Flow`, or `AsyncFlow`
on an event loop beside it, and writes what it was told. It repeats what nobody knows, with the same idempotency key,
and gives up after a while.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from messageflow import AsyncFlow, Flow
from messageflow.errors import OutcomeUnknown, PublishError, Refused
from messageflow.publisher.results import Receipt
from tests.faults.history import (
    EVERYONE,
    End,
    Label,
    Payload,
    Position,
    PublishFail,
    PublishInvoke,
    PublishOk,
    PublishUnknown,
    Recorder,
    now,
)
from tests.support import API_KEY

TYPE = "faults/test"
INTERNAL_ERROR = 100
"""The error code of the gateway that leaves open what happened."""

FILLERS = (0, 0, 100, 100, 200, 400, 1000, 4000, 16000)
BATCH_SHARE = 0.1
BATCH_SIZES = (2, 40)
TRIES = 4

T = TypeVar("T")


class Job(msgspec.Struct, frozen=True):
    """What a producer is to do.

    Args:
        name: its name in the history.
        url: its link to the gateway, or to Redis.
        history: the file it writes.
        seed: what it chooses from.
        rate: publications a second, about.
        users: to whom it pushes.
        channels: into which it publishes beside that.
        timeout: seconds one call may take.
        awaiting: whether it awaits its calls.
    """

    name: str
    url: str
    history: str
    seed: int
    rate: float
    users: list[str]
    channels: list[str]
    timeout: float
    awaiting: bool


class Publisher:
    """One producer."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._chance = random.Random(job.seed)
        face = AsyncFlow if job.awaiting else Flow
        self._flow = face(job.url, api_key=API_KEY, timeout=job.timeout)
        self._loop = asyncio.new_event_loop()
        self._beside = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._beside.start()
        self._recorder = Recorder(Path(job.history))
        self._number = 0

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop."""
        while not stop.is_set():
            if self._chance.random() < BATCH_SHARE:
                self._publish_batch(self._chance.randint(*BATCH_SIZES))
            else:
                self._publish(self._next())
            stop.wait(self._chance.expovariate(self._job.rate))
        self._recorder.write(End(at=now(), process=self._job.name))

    def publish_large(self, channel: str, size: int) -> None:
        """Publish something of about this many bytes in a channel that anybody may read."""
        self._number += 1
        self._publish(Payload.make(Label(self._job.name, self._number, channel, EVERYONE), "x" * size))

    def close(self) -> None:
        """Let go of the gateway. Nothing is published after it."""
        self._done(self._flow.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._beside.join()
        self._loop.close()
        self._recorder.close()

    def _next(self) -> Payload:
        """Return the next thing to publish: mostly for one user, sometimes for all, sometimes in a channel."""
        self._number += 1
        draw = self._chance.random()
        if draw < 0.6:
            user = self._chance.choice(self._job.users)
            channel, audience = f"#{user}", user
        elif draw < 0.8:
            channel, audience = "*", EVERYONE
        else:
            channel, audience = self._chance.choice(self._job.channels), EVERYONE
        filler = "x" * self._chance.choice(FILLERS)
        return Payload.make(Label(self._job.name, self._number, channel, audience), filler)

    def _publish(self, payload: Payload) -> None:
        for _ in range(TRIES):
            self._invoke(payload)
            try:
                receipt = self._call(payload)
            except OutcomeUnknown as error:
                self._unknown(payload, error)
            except PublishError as error:
                self._refused(payload, error)
                return
            else:
                self._ok(payload, receipt)
                return
            if self._chance.random() < 0.3:
                return

    def _call(self, payload: Payload) -> Receipt:
        key = f"{payload.producer}-{payload.number}"
        if payload.channel == "*":
            return self._done(self._flow.broadcast(TYPE, payload, idempotency_key=key))
        if payload.channel.startswith("#"):
            return self._done(self._flow.push(payload.audience, TYPE, payload, idempotency_key=key))
        return self._done(self._flow.publish(payload.channel, payload, idempotency_key=key))

    def _done(self, call: T | Coroutine[Any, Any, T]) -> T:
        """Return what a call returns, once it does."""
        if isinstance(call, Coroutine):
            future: Future[T] = asyncio.run_coroutine_threadsafe(call, self._loop)
            return future.result()
        return call

    def _publish_batch(self, size: int) -> None:
        payloads = [self._next() for _ in range(size)]
        batch = self._flow.batch()
        for payload in payloads:
            key = f"{payload.producer}-{payload.number}"
            if payload.channel.startswith("#"):
                batch.push(payload.audience, TYPE, payload, idempotency_key=key)
            elif payload.channel == "*":
                batch.broadcast(TYPE, payload, idempotency_key=key)
            else:
                batch.publish(payload.channel, payload, idempotency_key=key)
            self._invoke(payload)
        failure: PublishError | None = None
        try:
            self._done(batch.send())
        except PublishError as error:
            failure = error
        refused = batch.failures
        for place, (payload, receipt) in enumerate(zip(payloads, batch.receipts, strict=True)):
            if receipt is not None:
                self._ok(payload, receipt)
            elif place in refused:
                self._refused(payload, refused[place])
            elif failure is not None:
                self._refused(payload, failure)

    def _invoke(self, payload: Payload) -> None:
        self._recorder.write(
            PublishInvoke(
                at=now(),
                process=payload.producer,
                number=payload.number,
                channel=payload.channel,
                audience=payload.audience,
            )
        )

    def _ok(self, payload: Payload, receipt: Receipt) -> None:
        position = Position(receipt.epoch, receipt.offset, receipt.tag)
        self._recorder.write(
            PublishOk(at=now(), process=payload.producer, number=payload.number, position=position, ack=receipt.ack)
        )

    def _refused(self, payload: Payload, error: PublishError) -> None:
        """Record that nothing was stored, unless the error leaves that open."""
        unsure = type(error) is PublishError or isinstance(error, OutcomeUnknown)
        if unsure or (isinstance(error, Refused) and error.code == INTERNAL_ERROR):
            self._unknown(payload, error)
            return
        self._recorder.write(PublishFail(at=now(), process=payload.producer, number=payload.number, error=str(error)))

    def _unknown(self, payload: Payload, error: PublishError) -> None:
        self._recorder.write(
            PublishUnknown(at=now(), process=payload.producer, number=payload.number, error=str(error))
        )


def main() -> None:
    """Publish until standard input ends."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    Publisher(job).run(stop)


if __name__ == "__main__":
    main()
