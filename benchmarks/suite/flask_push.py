"""A push from a view of Flask: by how much the view's answer is later."""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.figures import Figure, at_most
from benchmarks.plan import Plan
from benchmarks.publishing import PublishFailed
from benchmarks.servers.base import Server, free_port, running
from benchmarks.servers.gateway import API_KEY, TOKEN_SECRET
from messageflow import Flow

MOST_MS = 1
WARMING = 50
SOURCE = """
from flask import Flask
from messageflow import Message
from messageflow.integrations.flask import MessageFlow

class ReportReady(Message):
    id: int
    text: str

app = Flask(__name__)
messageflow = MessageFlow(app, user=lambda: "alice")
TEXT = "x" * 90

@app.post("/plain")
def plain():
    return "", 204

@app.post("/push")
def push():
    messageflow.push_current("report/ready", {"id": 7, "text": TEXT})
    return "", 204

@app.post("/typed")
def typed():
    messageflow.push_current(ReportReady(7, TEXT))
    return "", 204
"""
VIEWS = ("plain", "push", "typed")
METHOD = (
    "A Flask application with MessageFlow(app) below gunicorn, one process of four threads, and the gateway with its "
    "durable broker beside it. One client asks, over one kept-alive connection, a view that does nothing, one that "
    "pushes to who is logged in, and one that pushes a typed message, in turns, one request after another. A sample is "
    "the p50 of a view less that of the view that does nothing, which stands beside it. Every push has to be stored."
)


class Sample(NamedTuple):
    """The p50 of each view, in milliseconds."""

    plain: float
    push: float
    typed: float


def run(plan: Plan) -> list[Figure]:
    """Measure."""
    count = plan.of(short=1_000, full=5_000)
    (samples,) = plan.alternate(views=lambda: sample(plan, count))
    plain = tuple(each.plain for each in samples)
    added = {
        "a push": tuple(each.push - each.plain for each in samples),
        "a typed message": tuple(each.typed - each.plain for each in samples),
    }
    return [
        Figure(f"{what} from a Flask view adds, p50", "ms", more, "the view without it", plain, (at_most(MOST_MS),))
        for what, more in added.items()
    ]


def sample(plan: Plan, count: int) -> Sample:
    """Ask each view so many times.

    Raises:
        PublishFailed: a view did not answer as it should, or a push was not stored.
    """
    gateway = plan.ours(plan.scratch)
    application = make_application(plan.scratch, gateway.port)
    with running(gateway, plan.scratch), running(application, plan.scratch):
        times: dict[str, list[float]] = {view: [] for view in VIEWS}
        with closing(http.client.HTTPConnection("127.0.0.1", application.port, timeout=30)) as connection:
            for number in range(-WARMING, count):
                for view in VIEWS:
                    milliseconds = ask(connection, view)
                    if number >= 0:
                        times[view].append(milliseconds)
        flow = Flow(f"http://127.0.0.1:{gateway.port}", api_key=API_KEY)
        stored = flow.history("#alice", limit=0).offset
        if stored != 2 * (count + WARMING):
            raise PublishFailed(f"{stored} pushes are stored of {2 * (count + WARMING)}")
    return Sample(*(median(times[view]) for view in VIEWS))


def make_application(scratch: Path, gateway_port: int) -> Server:
    """A Flask application below gunicorn, which pushes through the gateway on this port."""
    directory = Path(tempfile.mkdtemp(prefix="flask-", dir=scratch))
    (directory / "site_app.py").write_text(SOURCE)
    port = free_port()
    options = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "60", "--log-level", "warning")
    return Server(
        name="flask",
        command=(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *options, "site_app:app"),
        port=port,
        environment={
            "MESSAGEFLOW_URL": f"http://127.0.0.1:{gateway_port}",
            "MESSAGEFLOW_API_KEY": API_KEY,
            "MESSAGEFLOW_TOKEN_SECRET": TOKEN_SECRET,
        },
        directory=directory,
    )


def ask(connection: http.client.HTTPConnection, view: str) -> float:
    """Ask a view once; the milliseconds until its answer is there.

    Raises:
        PublishFailed: it did not answer as it should.
    """
    begin = time.perf_counter()
    connection.request("POST", f"/{view}", b"")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 204:
        raise PublishFailed(f"/{view} answered {answer.status}")
    return (time.perf_counter() - begin) * 1e3
