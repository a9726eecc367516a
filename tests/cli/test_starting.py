"""A push while the application starts: a receipt, or at once the word that it is too early. Nobody else is asked.

The development file names another gateway, which never hears of any. A flow that was given the gateway's own address
would wait for a port that nobody serves before the application has started.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from messageflow.publisher.discovery import write_dev_file
from tests.support import running
from tests.waiting import patience

BEGINNING = """
import asyncio, json, os, threading, time
from messageflow import AsyncFlow, Flow, MessageflowError

told = []

def note(what, function):
    began = time.monotonic()
    try:
        told.append([what, "receipt", function().channel, 0])
    except MessageflowError as error:
        told.append([what, type(error).__name__, str(error), time.monotonic() - began])

def blocking(what, *address):
    note(what, lambda: Flow(*address).push("alice", what))

def awaited(what):
    note(what, lambda: asyncio.run(AsyncFlow().push("alice", what)))

def everywhere(when):
    blocking(f"{when} Flow")
    awaited(f"{when} AsyncFlow")
    thread = threading.Thread(target=blocking, args=(f"{when} thread",))
    thread.start()
    thread.join()
"""
WSGI = (
    BEGINNING
    + """
everywhere("import")

def app(environ, start_response):
    blocking("request")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
"""
)
ASGI = (
    BEGINNING
    + """
everywhere("import")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        receipt = await AsyncFlow().push("alice", "lifespan")
        told.append(["lifespan AsyncFlow", "receipt", receipt.channel, 0])
        await asyncio.to_thread(blocking, "lifespan thread")
        blocking("lifespan Flow")
        own = os.environ["MESSAGEFLOW_URL"].replace("127.0.0.1", "localhost")
        receipt = await AsyncFlow(own).push("alice", "lifespan")
        told.append(["lifespan AsyncFlow by address", "receipt", receipt.channel, 0])
        await asyncio.to_thread(blocking, "lifespan thread by address", own)
        blocking("lifespan Flow by address", own)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"""
)
DJANGO = {
    "site_settings.py": """
SECRET_KEY = "of no use to anybody, and long enough for Django"
INSTALLED_APPS = ["shop.apps.ShopConfig"]
ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["*"]
""",
    "site_urls.py": """
from django.http import JsonResponse
from django.urls import path
from beginning import blocking, told

def show(request):
    blocking("request")
    return JsonResponse(told, safe=False)

urlpatterns = [path("", show)]
""",
    "beginning.py": BEGINNING,
    "shop/__init__.py": "",
    "shop/apps.py": """
from django.apps import AppConfig
from beginning import everywhere

class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        everywhere("ready")
""",
    "site_wsgi.py": """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
}
TOO_EARLY = "not before the gateway serves"


@pytest.fixture
def another() -> Iterator[socket.socket]:
    """Where the gateway listens that the file names."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        yield listener


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kind", ["wsgi", "asgi", "django"])
def test_a_push_while_the_application_starts_never_waits_and_asks_nobody_else(
    tmp_path: Path, another: socket.socket, kind: str, workers: str
) -> None:
    files = {"wsgi": {"site_wsgi.py": WSGI}, "asgi": {"site_wsgi.py": ASGI}, "django": DJANGO}[kind]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    write_dev_file(f"http://127.0.0.1:{another.getsockname()[1]}", "a key of another gateway", "", tmp_path)
    target = "site_wsgi:application" if kind == "django" else "site_wsgi:app"
    flags = ("--broker", "memory", "--workers", workers)
    with running(("run", target, *flags), tmp_path, cwd=tmp_path) as started:
        answer = urllib3.request("GET", started.url, timeout=patience(20), retries=False)
        assert answer.status == 200, "".join(started.lines)
        told = {what: (outcome, text, seconds) for what, outcome, text, seconds in json.loads(answer.data)}
    with pytest.raises(TimeoutError):
        another.accept()
    expected = {
        "wsgi": ({"request"}, set()),
        "asgi": (
            {f"lifespan {way}{by}" for way in ("AsyncFlow", "thread") for by in ("", " by address")},
            {"lifespan Flow", "lifespan Flow by address"},
        ),
        "django": ({"request"}, set()),
    }
    stored, own_loop = expected[kind]
    early = {f"{'ready' if kind == 'django' else 'import'} {way}" for way in ("Flow", "AsyncFlow", "thread")}
    assert {what for what, (outcome, _, _) in told.items() if outcome == "receipt"} == stored
    assert {what for what, (_, text, _) in told.items() if TOO_EARLY in text} == early
    assert {what for what, (_, text, _) in told.items() if "await AsyncFlow" in text} == own_loop
    assert all(seconds < 5 for _, _, seconds in told.values())  # as long as a flow asks
