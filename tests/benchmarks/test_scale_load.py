"""The loads of the measured runs: what connections say, and what work that is."""

from __future__ import annotations

import json

import jwt

from benchmarks.scale.experiments import in_two, none, own, shared
from benchmarks.scale.load import Visitors
from benchmarks.servers.gateway import TOKEN_SECRET
from messageflow import Receipt

HERE = Receipt("#user-7", 3, "e", "t")
THERE = Receipt("bench:all", 9, "f", "u")


def test_each_is_a_user_of_its_own_and_subscribes_in_its_first_frame() -> None:
    frames = [list(map(json.loads, frame.split("\n"))) for frame in Visitors(7, 2, own).frames()]
    tokens = [jwt.decode(frame[0]["connect"]["token"], TOKEN_SECRET, algorithms=["HS256"]) for frame in frames]
    assert [token["sub"] for token in tokens] == ["user-7", "user-8"]
    assert [each["subscribe"]["channel"] for each in frames[1][1:]] == [f"bench:own-8-{n}" for n in range(3)]
    assert [each["id"] for each in frames[0]] == [1, 2, 3, 4]


def test_one_that_comes_back_says_where_it_stood() -> None:
    back = Visitors(7, 1, lambda _: ["bench:all"], lambda _: {"#user-7": HERE, "bench:all": THERE})
    ((connect, subscribe),) = [list(map(json.loads, frame.split("\n"))) for frame in back.frames()]
    assert connect["connect"]["subs"] == {"#user-7": {"recover": True, "epoch": "e", "offset": 3, "tag": "t"}}
    assert subscribe["subscribe"] == {"channel": "bench:all", "recover": True, "epoch": "f", "offset": 9, "tag": "u"}


def test_a_channel_is_opened_once_at_each_node_that_has_a_subscriber() -> None:
    assert Visitors(0, 100, none).opened(2) == 0
    assert Visitors(0, 100, shared).opened(2) == 8
    assert Visitors(1, 100, own).opened(2) == 300
    assert Visitors(0, 200, in_two).opened(2) == 2 + 2 * 2
