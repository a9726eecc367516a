"""Jobs of the demo: each ends in exactly one report, whatever happens to the file or to the gateway."""

from __future__ import annotations

import io
import threading
from typing import Any

import jobs
import pytest
from jobs import Jobs

from messageflow import Flow, GatewayUnreachable, Receipt
from messageflow.publisher.requests import User
from messageflow.typed.message import TypedMessage

STORED = Receipt(channel="#alice", offset=1, epoch="e", tag="", ack="memory")


class Recorder(Flow):
    """A flow that keeps what is pushed and tells when a job has ended."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__("http://127.0.0.1:9")
        self.pushed: list[tuple[str, str, Any]] = []
        self.failure = failure
        self.ended = threading.Event()

    def push(self, user: User, type: str | TypedMessage, payload: Any = None, **more: Any) -> Receipt:
        self.pushed.append((str(user), str(type), payload))
        if type in ("job/done", "job/failed"):
            self.ended.set()
        if self.failure:
            raise self.failure
        return STORED


class BadDisk(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("Input/output error")


def test_a_job_pushes_its_start_and_its_result_to_its_user_and_closes_the_file() -> None:
    flow, file = Recorder(), io.BytesIO(b"one two\n")
    job = Jobs(flow).start("alice", "mine.txt", file)
    assert flow.ended.wait(10)
    assert [(user, type) for user, type, _ in flow.pushed] == [("alice", "job/started"), ("alice", "job/done")]
    result = flow.pushed[-1][2]
    assert (result["job"], result["name"], result["state"], result["words"]) == (job, "mine.txt", "done", 2)
    assert file.closed


def test_progress_is_pushed_when_the_percentage_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PUSH_EVERY", 0)
    flow, size = Recorder(), 3 << 20
    Jobs(flow).start("alice", "mine.txt", io.BytesIO(b"x" * size))
    assert flow.ended.wait(10)
    percent = [report["percent"] for _, type, report in flow.pushed if type == "job/progress"]
    assert percent == sorted(set(percent))
    assert len(percent) == 12


def test_a_file_that_cannot_be_read_ends_in_a_failure_with_its_reason() -> None:
    flow = Recorder()
    Jobs(flow).start("alice", "mine.txt", BadDisk(b"text"))
    assert flow.ended.wait(10)
    assert flow.pushed[-1][1] == "job/failed"
    assert flow.pushed[-1][2]["reason"] == "Input/output error"


def test_without_a_gateway_the_work_goes_on_and_the_result_is_there_to_fetch() -> None:
    flow = Recorder(GatewayUnreachable("no gateway"))
    all_jobs = Jobs(flow)
    all_jobs.start("alice", "mine.txt", io.BytesIO(b"one two\n"))
    assert flow.ended.wait(10)
    assert [report["state"] for report in all_jobs.of("alice")] == ["done"]


def test_each_user_gets_his_own_jobs_and_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT", 2)
    flow = Recorder()
    all_jobs = Jobs(flow)
    for user, name in (("alice", "first"), ("bob", "second"), ("alice", "third")):
        flow.ended.clear()
        all_jobs.start(user, name, io.BytesIO(b""))
        assert flow.ended.wait(10)
    assert [report["name"] for report in all_jobs.of("alice")] == ["third"]
    assert [report["name"] for report in all_jobs.of("bob")] == ["second"]
