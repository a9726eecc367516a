"""The demo over HTTP, as a script or another site would call it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support import TOKEN_SECRET, Running, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_jobs"
OWN_PAGE = {"X-Requested-With": "flask-jobs"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    arguments = ("run", "app:app", "--config", "messageflow.toml")
    with running(arguments, tmp_path_factory.mktemp("demo"), cwd=EXAMPLE) as started:
        yield started


class Caller:
    """A client that keeps its cookie."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.headers: dict[str, str] = dict(OWN_PAGE)

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Return the status and the JSON of the answer; its headers are in `answered`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path, body, self.headers if headers is None else headers)
            response = connection.getresponse()
            self.answered = response.headers
            content = response.read()
            return response.status, json.loads(content) if "json" in response.headers["Content-Type"] else content
        finally:
            connection.close()

    def post(self, path: str, **fields: object) -> Any:
        headers = {**self.headers, "Content-Type": "application/json"}
        return self.call("POST", path, json.dumps(fields), headers)

    def log_in(self, name: str) -> None:
        assert self.post("/login", name=name)[0] == 200
        self.headers["Cookie"] = self.answered["Set-Cookie"].partition(";")[0]


@pytest.fixture
def anybody(server: Running) -> Caller:
    return Caller(server)


@pytest.fixture
def alice(server: Running) -> Caller:
    caller = Caller(server)
    caller.log_in("alice")
    return caller


def test_the_token_is_for_who_is_logged_in_and_for_the_channel_of_those_who_are_here(alice: Caller) -> None:
    status, answer = alice.call("GET", "/token")
    claims = jwt.decode(answer["token"], TOKEN_SECRET, algorithms=["HS256"])
    assert (status, claims["sub"], claims["channels"]) == (200, "alice", ["people:here"])
    assert alice.answered["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), [("GET", "/token"), ("GET", "/jobs"), ("POST", "/jobs")])
def test_who_is_not_logged_in_gets_nothing(method: str, path: str, anybody: Caller) -> None:
    assert anybody.call(method, path) == (401, {"status": "error", "message": "Nobody is logged in."})


@pytest.mark.parametrize("path", ["/login", "/logout", "/jobs?name=x", "/say"])
def test_a_post_without_the_header_of_the_page_is_refused(path: str, alice: Caller) -> None:
    alice.headers.pop("X-Requested-With")
    assert alice.post(path, name="mallory", text="hello")[0] == 403


@pytest.mark.parametrize("name", ["", "   ", "*", "x" * 41, "a\nb", 7, None, ["alice"]])
def test_what_is_no_name_is_refused(name: object, anybody: Caller) -> None:
    status, answer = anybody.post("/login", name=name)
    assert (status, answer["status"]) == (400, "error")


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "7"])
def test_what_is_no_object_is_refused(body: str, anybody: Caller) -> None:
    headers = {**OWN_PAGE, "Content-Type": "application/json"}
    assert anybody.call("POST", "/login", body, headers)[0] == 400


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(alice: Caller) -> None:
    alice.log_in("alice")
    assert "HttpOnly" in alice.answered["Set-Cookie"]
    assert "SameSite=Lax" in alice.answered["Set-Cookie"]


def test_the_page_allows_no_inline_script(anybody: Caller) -> None:
    status, page = anybody.call("GET", "/")
    policy = anybody.answered["Content-Security-Policy"]
    assert status == 200
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in page


def test_a_job_is_accepted_with_its_id_and_listed_for_its_user_alone(alice: Caller, server: Running) -> None:
    status, answer = alice.call("POST", "/jobs?name=mine.txt", b"one two\n")
    job = answer["data"]["job"]
    assert (status, answer["status"]) == (200, "success")
    assert job in [report["job"] for report in alice.call("GET", "/jobs")[1]["data"]["jobs"]]
    bob = Caller(server)
    bob.log_in("bob")
    assert bob.call("GET", "/jobs")[1]["data"]["jobs"] == []


def test_a_file_of_unknown_length_is_refused_and_not_taken_for_empty(alice: Caller) -> None:
    assert alice.call("POST", "/jobs?name=x", iter([b"one", b"two"]))[0] == 411


def test_a_file_whose_sender_goes_away_becomes_no_job(alice: Caller, server: Running) -> None:
    head = {**alice.headers, "Host": "127.0.0.1", "Content-Length": "1000000"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection(("127.0.0.1", server.port), 20) as sender:
        sender.sendall(f"POST /jobs?name=half.txt HTTP/1.1\r\n{lines}\r\n".encode() + b"x" * 1000)
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(4096):
            pass
    names = [report["name"] for report in alice.call("GET", "/jobs")[1]["data"]["jobs"]]
    assert "half.txt" not in names
