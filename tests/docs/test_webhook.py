"""docs/webhook.md: each of its applications is asked by a gateway that is started as the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.written import Written
from tests.gateway.test_bad_input import Client
from tests.gateway.test_every_setting import answered
from tests.ports import free_port
from tests.waiting import wait_until

SERVERS = {
    "Flask": "flask run",
    "FastAPI": "uvicorn fast:app",
    "Django": "uvicorn site_asgi:application",
}
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "webhooks.json").read_text())["cases"]


@pytest.mark.parametrize("framework", SERVERS)
def test_an_application_of_the_page_is_asked(tmp_path: Path, framework: str) -> None:
    written = Written("webhook.md", tmp_path)
    serve, flask = written.commands("Try it")
    assert flask == SERVERS["Flask"]
    port = free_port()
    assert ":5000/" in serve
    with written.gateway(serve.replace(":5000/", f":{port}/")) as gateway:
        token = written.type("messageflow token alice").strip()
        with written.running(f"{SERVERS[framework]} --port {port}"):
            wait_until(lambda: gateway.events("webhook_back"), 40)
            with Client(gateway) as client:
                client.connect(token=token)
                called = {"id": 2, "rpc": {"method": "double", "data": 21}}
                assert answered(client, called)["rpc"] == {"data": {"twice": 42, "by": "alice"}}
                client.say({"send": {"data": {"type": "city", "payload": "Rome"}}})
                while b"Rome" not in (heard := client.receive()[1]):
                    pass
                assert b'{"type":"city","payload":{"name":"Rome","by":"alice"}}' in heard


def test_the_request_of_the_page_is_one_of_the_vectors() -> None:
    text = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text()
    case = VECTORS[0]
    for header in ("id", "timestamp", "signature"):
        assert f"webhook-{header}: {case[header]}\n" in text
    assert case["body"].partition("[")[0] in text
