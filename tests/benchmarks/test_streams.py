"""Streams over HTTP beside others: what their readers ask for, and what a row says."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from benchmarks.plan import MakeServer, Plan
from benchmarks.report import row
from benchmarks.servers.gateway import CHANNEL, TOKEN_SECRET
from benchmarks.suite import streams


def read_request(text: str) -> tuple[str, str, str]:
    head, _, body = text.partition("\r\n\r\n")
    line, *_ = head.split("\r\n")
    assert f"Content-Length: {len(body)}" in head or not body
    return line, head, body


def test_each_reader_asks_with_a_token_of_its_own_for_the_channel(tmp_path: Path) -> None:
    for name, make in streams.STREAMS.items():
        say = make(tmp_path).subscribe
        assert say.stream
        assert say.first_frames is not None
        first, second = say.first_frames(2)
        line, head, body = read_request(first)
        assert first != second
        method, address, _ = line.split(" ")
        assert urlsplit(address).path == f"/connection/{name}"
        if "cf_connect" in address:
            body = parse_qs(urlsplit(address).query)["cf_connect"][0]
        token = json.loads(body)["connect"]["token"] if body else head.partition("Bearer ")[2].split("\r\n")[0]
        assert method == ("POST" if name == "http_stream" else "GET")
        assert jwt.decode(token, TOKEN_SECRET, algorithms=["HS256"])["channels"] == [CHANNEL]


def test_a_peer_that_cannot_be_had_has_a_row_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_turns(_: Plan, makers: dict[str, MakeServer], missing: dict[str, str]) -> streams.Samples:
        missing["sse-starlette"] = "no network"
        return {name: (2.0,) for name in makers if name not in missing}

    monkeypatch.setattr(streams, "in_turns", in_turns)
    monkeypatch.setattr(streams, "per_connection", lambda *_: 3000.0)
    figures = streams.run(Plan(full=False, scratch=tmp_path, say=lambda _: None))
    assert all(figure.held for figure in figures)
    assert row(figures[-1])[2] == "not measured (sse-starlette: no network)"
    assert len(figures) == 2 * len(streams.STREAMS) + 2 * (len(streams.PEERS) - 1) + 1
