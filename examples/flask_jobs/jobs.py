"""Work that goes on after the request has ended, and reports.

Knows nothing of requests and sockets: a thread reads the file, and every report is kept for pages that ask
(`Jobs.of`) and pushed to the pages that are open. Those of one user only.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from dataclasses import asdict
from threading import Lock, Thread
from typing import Any, BinaryIO

from reading import Summary, summarize

from messageflow import Flow, MessageflowError

log = logging.getLogger(__name__)

PUSH_EVERY = 0.1  # seconds between two reports of progress; a person sees no more
KEPT = 500  # jobs that are remembered, of all users together

Report = dict[str, Any]


class Jobs:
    """All jobs of this process."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._lock = Lock()
        self._latest: dict[str, tuple[str, Report]] = {}  # by job: whose it is, and its latest report; oldest first

    def start(self, user: str, name: str, file: BinaryIO) -> str:
        """Begin to read a file, which is closed at the end; return the job's id at once."""
        job = secrets.token_hex(8)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._report(user, "job/started", {"job": job, "name": name, "state": "running", **_found(Summary(size))})
        Thread(target=self._work, args=(user, job, name, file, size), daemon=True).start()
        return job

    def of(self, user: str) -> list[Report]:
        """Return the latest report of each of a user's jobs, oldest job first."""
        with self._lock:
            return [report for owner, report in self._latest.values() if owner == user]

    def _work(self, user: str, job: str, name: str, file: BinaryIO, size: int) -> None:
        about = {"job": job, "name": name}
        try:
            with file:
                summary = self._read(user, about, file, size)
        except Exception as error:  # nobody above would hear of it
            log.exception("job %s failed", job)
            self._report(user, "job/failed", {**about, "state": "failed", "reason": str(error)})
        else:
            self._report(user, "job/done", {**about, "state": "done", **_found(summary)})

    def _read(self, user: str, about: Report, file: BinaryIO, size: int) -> Summary:
        summary, percent, reported = Summary(size), 0, time.monotonic()
        for summary in summarize(file, size):
            if summary.percent > percent and time.monotonic() - reported >= PUSH_EVERY:
                percent, reported = summary.percent, time.monotonic()
                self._report(user, "job/progress", {**about, "state": "running", **_found(summary)})
        return summary

    def _report(self, user: str, type: str, report: Report) -> None:
        with self._lock:
            self._latest[report["job"]] = user, report
            if len(self._latest) > KEPT:
                del self._latest[next(iter(self._latest))]
        try:
            self._flow.push(user, type, report)
        except MessageflowError as error:  # no reason to stop the work: it is kept, and pages ask when they are back
            log.warning("%s was not pushed: %s", type, error)


def _found(summary: Summary) -> Report:
    return {"percent": summary.percent, **asdict(summary)}
