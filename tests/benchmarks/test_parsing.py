"""What the benchmarks read from other programs and write for them."""

from __future__ import annotations

import json

import jwt
import pytest

from benchmarks.crowd import escape, parse_received
from benchmarks.machine import cpu_model
from benchmarks.publishing import Burst, PublishFailed, lua, parse_wrk, payload
from benchmarks.servers.base import PublishSide, Server, SubscribeSide
from benchmarks.servers.gateway import TOKEN_SECRET, first_frames
from messageflow import Receipt

WRK = """Running 3s test @ http://127.0.0.1:9301/pub
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    97.31ms   12.58ms 201.33ms   89.01%
  986 requests in 3.01s, 265.76KB read
"""
WSLOAD = (
    '{"ready": 2, "closed": 0, "close_reason": "", "frames": 10, "publications": 40, "fewest": 20, "most": 20, '
    '"lost": 0, "repeated": 0, "bytes": 900, "pings": 4, "refused": 0, "span_s": 0.5, "p50_ms": 1.5, "p99_ms": 2.5, '
    '"max_ms": 3.0, "cpu_s": 0.010}\n'
)


def test_wrk_summary() -> None:
    assert parse_wrk(WRK) == Burst(requests=986, seconds=3.01, refused=0)


def test_wrk_counts_refusals_and_socket_errors_together() -> None:
    troubles = "  Socket errors: connect 1, read 2, write 3, timeout 9\n  Non-2xx or 3xx responses: 10\n"
    assert parse_wrk(WRK + troubles).refused == 16


def test_wrk_without_summary_is_a_failure() -> None:
    with pytest.raises(PublishFailed, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:9301 Connection refused")


def test_wsload_result_and_its_rate() -> None:
    received = parse_received(WSLOAD)
    assert (received.fewest, received.p99_ms, received.per_second) == (20, 2.5, 80.0)


def test_nothing_received_is_no_rate() -> None:
    assert parse_received(WSLOAD.replace('"span_s": 0.5', '"span_s": 0.0')).per_second == 0.0


def test_cpu_model_is_the_first_named() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n") == "Some CPU @ 2 GHz"


def test_payload_carries_number_and_time_and_has_its_size() -> None:
    text = payload(17, 1_700_000_000_000_000_000, 128)
    assert text.startswith("##17##@@1700000000000000000@@x")
    assert len(text) == 128


def test_a_frame_becomes_one_line() -> None:
    assert escape('{"id":1}\n{"id":2}') == '{"id":1}\\n{"id":2}'
    assert escape("GET / HTTP/1.1\r\n\r\n") == "GET / HTTP/1.1\\r\\n\\r\\n"


def test_a_backslash_in_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="backslash"):
        escape('{"data":"\\u00e9"}')


def test_lua_posts_what_the_server_takes() -> None:
    side = PublishSide("/pub", lambda text: json.dumps({"data": text}), {"X-API-Key": "k"})
    script = lua(Server("s", (), 1, SubscribeSide("/"), side))
    assert "wrk.method = 'POST'\n" in script
    assert 'wrk.body = [==[{"data": "##1##@@0@@x' in script
    assert "wrk.headers['X-API-Key'] = 'k'\n" in script


def test_first_frames_connect_distinct_users_and_subscribe() -> None:
    users = []
    for frame in first_frames(3):
        connect, subscribe = map(json.loads, frame.split("\n"))
        users.append(jwt.decode(connect["connect"]["token"], TOKEN_SECRET, algorithms=["HS256"])["sub"])
        assert subscribe == {"id": 2, "subscribe": {"channel": "bench:all"}}
    assert users == ["user-0", "user-1", "user-2"]


def test_first_frames_of_those_who_come_back_say_where_they_stood() -> None:
    held = {"*": Receipt("*", 3, "e", "t3"), "bench:all": Receipt("bench:all", 7, "f", "t7")}
    (frame,) = first_frames(1, held)
    connect, subscribe = map(json.loads, frame.split("\n"))
    assert connect["connect"]["subs"] == {"*": {"recover": True, "epoch": "e", "offset": 3, "tag": "t3"}}
    position = {"recover": True, "epoch": "f", "offset": 7, "tag": "t7"}
    assert subscribe == {"id": 2, "subscribe": {"channel": "bench:all", **position}}
