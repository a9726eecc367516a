"""`messageflow run` with applications as people write them: Flask, ASGI, a factory, and one that changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import urllib3

from messageflow import Flow
from tests.support import API_KEY, running
from tests.waiting import patience, wait_until

FLASK = """
from flask import Flask, request
from messageflow import Flow

app = Flask(__name__)
flow = Flow()

@app.route("/push/<user>", methods=["GET", "POST"])
def push(user):
    receipt = flow.push(user, "shop/open", request.get_data(as_text=True))
    return {"offset": receipt.offset, "token": flow.token(user), "version": 1}
"""

ASGI = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from messageflow import AsyncFlow

flow = AsyncFlow()
life = []

@asynccontextmanager
async def lifespan(app):
    life.append("started")
    yield
    open("ended", "w").close()

async def push(request):
    receipt = await flow.push(request.path_params["user"], "shop/open")
    return JSONResponse({"offset": receipt.offset, "life": life})

def create_app():
    return Starlette(routes=[Route("/push/{user}", push)], lifespan=lifespan)
"""

LATE = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from messageflow import Flow

flow = Flow()
flow.later.push("alice", "import")

@asynccontextmanager
async def lifespan(app):
    yield
    for number in range(100):
        flow.later.push("alice", "end", number)

app = Starlette(lifespan=lifespan)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "flask_shop.py").write_text(FLASK)
    (directory / "asgi_shop.py").write_text(ASGI)
    (directory / "late_shop.py").write_text(LATE)
    return directory


def get(url: str, path: str) -> dict[str, object]:
    response = urllib3.request("GET", url + path, timeout=patience(10), retries=False)
    assert response.status == 200, response.data
    found: dict[str, object] = json.loads(response.data)
    return found


@pytest.mark.parametrize("target", ["flask_shop:app", "flask_shop"])
def test_flask_application_pushes_and_makes_tokens_without_being_told_anything(
    project: Path, tmp_path: Path, target: str
) -> None:
    with running(("run", target), tmp_path, cwd=project, keys=False) as started:
        assert get(started.url, "/push/alice")["offset"] == 1
        answer = get(started.url, "/push/alice")
    assert answer["offset"] == 2
    assert str(answer["token"]).count(".") == 2


def test_paths_of_the_gateway_stay_its_own(project: Path, tmp_path: Path) -> None:
    with running(("run", "flask_shop:app"), tmp_path, cwd=project, keys=False) as started:
        answers = [
            urllib3.request("GET", started.url + path) for path in ("/messageflow/ready", "/messageflow.js", "/ready")
        ]
    assert [answer.status for answer in answers] == [200, 200, 404]
    assert answers[1].headers["content-type"].startswith("text/javascript")
    assert b"<h1>Not Found</h1>" in answers[2].data  # as Flask says it


def test_asgi_application_has_its_lifespan_and_awaits_its_pushes(project: Path, tmp_path: Path) -> None:
    with running(("run", "asgi_shop:create_app()"), tmp_path, cwd=project, keys=False) as started:
        assert get(started.url, "/push/alice") == {"offset": 1, "life": ["started"]}
        assert started.terminate() == 0
    assert (project / "ended").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_pushed_later_arrives_from_the_import_on_and_until_the_end(
    project: Path, tmp_path: Path, workers: int
) -> None:
    def heard(url: str) -> list[str]:
        return [each.data["type"] for each in Flow(url, api_key=API_KEY).history("#alice", limit=1000).publications]

    command = ("run", "late_shop:app", "--workers", str(workers))
    with running(command, tmp_path, cwd=project) as started:
        wait_until(lambda: heard(started.url) == ["import"] * workers)
        assert started.terminate() == 0
    with running(command, tmp_path, cwd=project) as started:
        assert heard(started.url).count("end") == 100 * workers


def test_demo_shows_its_page(tmp_path: Path) -> None:
    with running(("demo",), tmp_path, keys=False) as started:
        page = urllib3.request("GET", started.url, timeout=patience(10), retries=False)
    assert page.status == 200
    assert b"/messageflow.js" in page.data
