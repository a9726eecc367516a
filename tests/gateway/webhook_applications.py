"""Applications elsewhere: one flow below a WSGI and an ASGI server, each in a process that keeps connections."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.docs.written import end, wait_for_port
from tests.support import API_KEY

SECRET = "a-hooks-secret-for-tests-0123456789abcdef"
PATH = "/messageflow/hooks"

HANDLERS = """
import asyncio, os, time
from messageflow import Flow, Refuse

flow = Flow()

def note(*words):
    with open("told.txt", "a") as file:
        print(*words, file=file)

@flow.on("city")
def city(event):
    flow.broadcast("city", {"city": event.data, "by": event.user})

@flow.on("shout")
def shout(event):
    flow.broadcast("shout", event.data, exclude=event)
    flow.broadcast("shouted")

@flow.rpc("double")
def double(event):
    if event.data is None:
        raise Refuse(1001, "of what?")
    return {"twice": event.data * 2, "by": event.user, "cookie": event.headers.get("cookie"), "info": event.info}

@flow.rpc("fail")
def fail(event):
    return 1 / 0

@flow.rpc("hang")
async def hang(event):
    note("hang")
    await asyncio.sleep(3600)

@flow.on_connect
def come(event):
    if event.data == "mallory":
        return False
    allow = ["open:closed=history"] if event.user == "bob" else []
    return {"info": {"came": True}, "data": {"hello": event.user}, "allow": allow}

@flow.on("once")
def once(event):
    with open("once.txt", "a") as file:
        print(event.data, file=file)
    if event.data == "refused":
        raise Refuse(1002, "not today")

@flow.on_disconnect
def gone(event):
    note("gone", event.user, event.code)

@flow.authorize("open:*")
def may(event):
    return event.channel != "open:closed"

@flow.on_publish("open:*")
def read(event):
    if event.data == "casino":
        return False
    return {"text": event.data, "by": event.user}

@flow.on_occupied("open:*")
def occupied(event):
    note("occupied", event.channel)

@flow.on_vacated("open:*")
def vacated(event):
    note("vacated", event.channel)
"""

SERVERS = {
    "wsgi": """
import sys
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server
from handlers import flow

app = Flask(__name__)
app.wsgi_app = flow.webhook.wsgi(app.wsgi_app)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log_request = lambda *_: None
make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True).serve_forever()
""",
    "asgi": """
import sys
import uvicorn
from fastapi import FastAPI
from handlers import flow

app = FastAPI()
app.mount("/messageflow/hooks", flow.webhook.asgi)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
""",
}
PATHS = {"wsgi": PATH, "asgi": f"{PATH}/"}


@contextmanager
def serving(
    kind: str, directory: Path, port: int, gateway: str = "", handlers: str = HANDLERS, secret: str = SECRET
) -> Iterator[subprocess.Popen[str]]:
    """Run an application until the block ends.

    Args:
        kind: of `SERVERS`.
        directory: it runs in.
        port: it listens on.
        gateway: where it pushes.
        handlers: its flow.
        secret: that it believes.
    """
    (directory / "handlers.py").write_text(handlers)
    (directory / "server.py").write_text(SERVERS[kind])
    with started([sys.executable, "server.py", str(port)], directory, port, gateway, secret) as process:
        yield process


@contextmanager
def started(
    command: Sequence[str], directory: Path, port: int, gateway: str = "", secret: str = SECRET
) -> Iterator[subprocess.Popen[str]]:
    """Run a server of an application that was written into a directory; see `serving`."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MESSAGEFLOW_", "PYTEST_"))
    }
    environment |= {"MESSAGEFLOW_API_KEY": API_KEY, "MESSAGEFLOW_HOOKS_SECRET": secret, "MESSAGEFLOW_URL": gateway}
    process = subprocess.Popen(command, cwd=directory, env=environment, text=True)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        end(process)
