"""The URL of a Redis means what stands there; one that does not is refused, and the message has no password in it."""

from __future__ import annotations

import pytest

from messageflow import Flow
from messageflow.brokers.redis.connections.connector import Connector
from messageflow.brokers.redis.connections.url import Address, RedisUrl, parse_url
from messageflow.errors import ConfigurationError

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", {"base": "redis", "addresses": (Address("localhost", 6379),), "where": "localhost:6379"}),
        ("redis://host", {"addresses": (Address("host", 6379),), "database": 0, "login": {}}),
        ("redis://host:7000/12", {"addresses": (Address("host", 7000),), "database": 12}),
        ("redis://host/?db=3", {"database": 3}),
        ("redis://host/0/", {"database": 0}),
        ("redis://[::1]:7000/1", {"addresses": (Address("::1", 7000),), "database": 1}),
        ("redis://[::1]", {"addresses": (Address("::1", 6379),)}),
        ("redis://:p%40%23%3Aw@host", {"login": {"password": "p@#:w"}}),
        ("redis://u%2f:p:w@host", {"login": {"username": "u/", "password": "p:w"}}),
        ("redis://u@host?password=p%40", {"login": {"username": "u", "password": "p@"}}),
        ("redis://host?client_name=x", {"options": {"client_name": "x"}}),
        ("rediss://host?ssl_ca_certs=/ca.pem", {"base": "rediss", "options": {"ssl_ca_certs": "/ca.pem"}}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "database": 2, "where": "/run/redis.sock"}),
        ("unix://u:p@/run/redis.sock", {"login": {"username": "u", "password": "p"}, "addresses": ()}),
        (
            "rediss+sentinel://u:p@one,two:7/streams/4?sentinel_password=s",
            {
                "kind": "+sentinel",
                "addresses": (Address("one", 26379), Address("two", 7)),
                "service": "streams",
                "where": "streams",
                "database": 4,
                "login": {"username": "u", "password": "p"},
                "sentinel_login": {"password": "s"},
            },
        ),
        ("redis+cluster://one:1,two", {"kind": "+cluster", "addresses": (Address("one", 1), Address("two", 6379))}),
    ],
)
def test_a_url_means_what_stands_there(url: str, expected: dict[str, object]) -> None:
    found = parse_url(url)
    assert {name: getattr(found, name) for name in expected} == expected
    assert isinstance(found, RedisUrl)


WRONG = [
    (f"redis://:{SECRET}#x@db:6379/0", "percent-encode"),
    (f"redis://:{SECRET}/x@db:6379/0", "percent-encode"),
    (f"redis://:{SECRET}?x@db:6379/0", "percent-encode"),
    (f"redis://:x[{SECRET}@db", "percent-encode"),
    (f"redis://:[{SECRET}]@db", "percent-encode"),
    (f"redis://:{SECRET}\u2100x@db", "percent-encode"),  # which stands for a/c where compatible characters are one
    (f"redis://:x{SECRET}", "names no host"),
    (f"redis://me:{SECRET}", "the port in it is no number"),
    (f"redis+sentinel://me:1234/{SECRET}@db/streams", "percent-encode"),
    (f"redis+sentinel://me:1234/{SECRET}@db", "an @ after the host"),
    (f"redis://me:1234?client_name={SECRET}@db", "an @ after the host"),
    (f"redis+cluster://me:1,{SECRET}:x", "the port in it is no number"),
    (f"{SECRET}:x@db:6379/0", "does not begin with the scheme"),
    (f"http://:{SECRET}@db", "does not begin with the scheme"),
    (f"redis://:{SECRET}@db/x", "the database in it is no number"),
    (f"redis://:{SECRET}@db/1/2", "the database in it is no number"),
    (f"redis://:{SECRET}@db/-1", "the database in it is no number"),
    (f"redis://:{SECRET}@db/1234567", "the database in it is no number"),
    (f"redis://:{SECRET}@db/\u0661", "the database in it is no number"),
    (f"redis://:{SECRET}@db?db=x", "the database in it is no number"),
    (f"redis://:{SECRET}@db/1?db=1", "names the database twice"),
    (f"redis://:{SECRET}@db?db=1&db=1", "an option twice"),
    (f"redis://:{SECRET}@db?db=", "an option without a value"),
    (f"redis://:{SECRET}@db?{SECRET}", "cannot be understood"),
    (f"redis://:{SECRET}@db?{SECRET}=1", "an option that is not known here; known are db"),
    (f"redis://:{SECRET}@db?password={SECRET}", "a password twice"),
    (f"redis://:{SECRET}@db?max_connections=5", "not known here"),
    (f"redis://:{SECRET}@db?ssl_ca_certs=x", "write rediss://"),
    (f"rediss://:{SECRET}@db?ssl_cert_reqs=none", "ssl_cert_reqs cannot be set"),
    (f"rediss://:{SECRET}@db?ssl_check_hostname=false", "ssl_check_hostname cannot be set"),
    (f"redis://:{SECRET}@db?sentinel_password=x", "names none"),
    (f"redis://:{SECRET}@db:0", "the port in it is no number"),
    (f"redis://:{SECRET}@db:65536", "the port in it is no number"),
    (f"redis://:{SECRET}@db:", "the port in it is no number"),
    (f"redis://:{SECRET}@:6379", "names no host"),
    (f"redis://:{SECRET}@[::1", "cannot be understood"),
    (f"redis://:{SECRET}@[::1]6379", "percent-encode"),
    (f"redis://:{SECRET}@{'x' * 64}", "cannot be understood"),
    (f"redis://:{SECRET}@one,two", "shards are URLs of their own"),
    (f"redis+cluster://:{SECRET}@one,,two", "names no host"),
    (f"redis+cluster://:{SECRET}@one/1", "a Cluster has no databases"),
    (f"redis+sentinel://:{SECRET}@one", "names no service"),
    (f"redis+sentinel://:{SECRET}@one/streams/x", "the database in it is no number"),
    (f"unix://:{SECRET}@", "names no path"),
    (f"unix://:{SECRET}@host/path", "names no path"),
]


@pytest.mark.parametrize(("url", "problem"), WRONG)
def test_what_is_wrong_is_said_without_any_part_of_it(url: str, problem: str) -> None:
    for make in (lambda: parse_url(url), lambda: Connector(url, 1.0)):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert problem in str(caught.value)
        assert "percent-encode what is special in a password" in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None  # nor in a traceback


@pytest.mark.parametrize("url", [url for url, _ in WRONG if url.startswith(("redis", "unix"))])
def test_a_flow_says_no_part_of_it_either(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Flow(url)
    assert SECRET not in str(caught.value)


def test_sentinels_are_not_shown_the_password_of_redis() -> None:
    for url, expected in (
        ("redis+sentinel://u:p@one/streams", {"username": None, "password": None}),
        ("redis+sentinel://u:p@one/streams?sentinel_password=s", {"username": None, "password": "s"}),
    ):
        assert Connector(url, 1.0)._sentinel_login == expected
