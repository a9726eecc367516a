"""The peers that stand beside ours: what is missing says so, and what is installed is pinned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.crowd import CrowdFailed
from benchmarks.plan import MakeServer, Plan
from benchmarks.report import row
from benchmarks.servers.centrifugo import VARIABLE, centrifugo, settings
from benchmarks.servers.node_peers import SOURCES, socket_io_on_uwebsockets
from benchmarks.suite import peers
from benchmarks.suite.peers import PEERS, Sample, beside
from benchmarks.tools import Unavailable

OWN = (Sample(2500.0, 5.0, 0.1, 4.0, 0.0),)
PEER = (Sample(5000.0, 10.0, 2.0, 0.1, 0.0),)


def test_a_peer_that_cannot_be_had_has_a_row_that_says_why() -> None:
    (figure,) = beside(OWN, "Centrifugo", (), "no binary")
    assert row(figure)[2] == "not measured (Centrifugo: no binary)"


def test_a_peer_that_fails_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_: Plan, make: MakeServer) -> Sample:
        if make is PEERS["Channels"]:
            raise CrowdFailed("3 of 1000 were cut off")
        return OWN[0]

    monkeypatch.setattr(peers, "sample", measure)
    figures = peers.run(Plan(full=False, scratch=tmp_path, say=lambda _: None))
    assert [figure.missing for figure in figures if figure.peer == "Channels"] == ["3 of 1000 were cut off"]
    assert [figure.ratio for figure in figures if figure.peer == "ws"] == [1.0] * 4


def test_a_peer_has_four_rows_and_one_more_where_it_lost_something() -> None:
    assert [figure.ratio for figure in beside(OWN, "ws", PEER)] == [0.5, 40.0, 0.05, 0.5]
    assert beside(OWN, "Channels", (PEER[0]._replace(lost=3.0),))[-1].peer_median == 3.0


def test_centrifugo_is_the_binary_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(Unavailable, match=VARIABLE):
        centrifugo(tmp_path)
    binary = tmp_path / "centrifugo"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(binary))
    server = centrifugo(tmp_path)
    assert server.command[0] == str(binary)
    assert json.loads(Path(server.command[2]).read_text()) == settings(server.port)


def test_socket_io_on_uwebsockets_says_why_it_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not in the npm registry"):
        socket_io_on_uwebsockets(tmp_path)


def test_what_npm_installs_is_pinned_and_names_no_place() -> None:
    package = json.loads((SOURCES / "package.json").read_text())
    assert all(version[0].isdigit() for version in package["dependencies"].values())
    locked = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert {f"node_modules/{name}" for name in package["dependencies"]} <= set(locked)
    assert all("integrity" in each and "resolved" not in each for name, each in locked.items() if name)


def test_all_peers_of_the_table_are_there() -> None:
    assert list(PEERS) == [
        "Nchan",
        "Centrifugo",
        "ws",
        "Socket.IO",
        "Socket.IO on uWebSockets.js",
        "Flask-SocketIO",
        "Channels",
    ]
