"""`position`: where the streams of a user stand, ready to be written into a page."""

from __future__ import annotations

import json

import pytest

from messageflow import PublishError, Refused
from tests.publisher.conftest import Face
from tests.publisher.scripted import ScriptedServer, say
from tests.publisher.test_flow import flow_to

HERE = {"epoch": "e", "offset": 4, "tag": "t"}


def replies(*each: object) -> bytes:
    return json.dumps({"replies": each}).encode()


def page_of(place: dict[str, object]) -> dict[str, object]:
    return {"history": {"publications": [], **place}}


def test_a_position_is_that_of_the_user_of_broadcasts_and_of_what_was_named(face: Face, server: ScriptedServer) -> None:
    there = {**HERE, "offset": 0, "tag": ""}
    answer = say(200, replies(page_of(HERE), page_of(there), page_of(HERE)))
    with flow_to(face, server, answer) as flow:
        position = face.call(flow, "position", 7, channels=("lobby",))
    assert json.loads(json.dumps(position)) == {"#7": HERE, "*": there, "lobby": HERE}
    (request,) = server.requests
    assert request.target == "/messageflow/api/batch"
    assert request.body == {
        "commands": [{"history": {"channel": name, "limit": 0}} for name in ("#7", "*", "lobby")],
    }


def test_a_channel_without_history_has_no_position(face: Face, server: ScriptedServer) -> None:
    none = {"error": {"code": 108, "message": "'*' keeps no history"}}
    with flow_to(face, server, say(200, replies(page_of(HERE), none))) as flow:
        assert face.call(flow, "position", "alice") == {"#alice": HERE}


def test_a_channel_that_cannot_be_is_refused(face: Face, server: ScriptedServer) -> None:
    refused = {"error": {"code": 102, "message": "unknown channel"}}
    answer = say(200, replies(page_of(HERE), page_of(HERE), refused))
    with flow_to(face, server, answer) as flow, pytest.raises(Refused, match="unknown channel"):
        face.call(flow, "position", "alice", channels=["no:where"])


def test_a_channel_has_a_position_of_its_own(face: Face, server: ScriptedServer) -> None:
    with flow_to(face, server, say(200, json.dumps({"result": {"publications": [], **HERE}}).encode())) as flow:
        assert face.call(flow, "channel_position", "lobby") == HERE
    (request,) = server.requests
    assert (request.target, request.body) == (
        "/messageflow/api/history",
        {"channel": "lobby", "limit": 0, "reverse": False},
    )


def test_a_channel_that_keeps_no_history_says_so(face: Face, server: ScriptedServer) -> None:
    none = {"error": {"code": 108, "message": "'lobby' keeps no history"}}
    with (
        flow_to(face, server, say(200, json.dumps(none).encode())) as flow,
        pytest.raises(Refused, match="keeps no history"),
    ):
        face.call(flow, "channel_position", "lobby")


@pytest.mark.parametrize("body", [replies(page_of(HERE)), b"{}", b'{"replies":null}'])
def test_an_answer_that_is_no_gateways_is_said(face: Face, server: ScriptedServer, body: bytes) -> None:
    with flow_to(face, server, say(200, body)) as flow, pytest.raises(PublishError, match="not a messageflow gateway"):
        face.call(flow, "position", "alice")
