"""Where a request came from: a table of what proxies write, what clients make up, and whom a gateway trusts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.errors import ConfigurationError
from messageflow.gateway.front_door.head import Head
from messageflow.gateway.proxies import Forwarded, Proxies, is_local, parse_proxy, trace_forwarded
from messageflow.gateway.settings_loading import load_settings

NEAR, FAR, CLIENT, MADE_UP = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.9"
TRUSTED = Proxies(["10.0.0.0/8", "fd00::/8", "unix"])


def headers(*lines: str) -> list[tuple[bytes, bytes]]:
    """Return headers as they reach the gateway, with a Host unless one is given."""
    pairs = [line.partition(": ")[::2] for line in lines]
    found = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    return found if any(name == b"host" for name, _ in found) else [(b"host", b"inner"), *found]


def came(*lines: str, peer: str = NEAR, secure: bool = False, proxies: Proxies = TRUSTED) -> Forwarded:
    return trace_forwarded(peer, secure, Head(b"", b"GET", "1.1", b"/", headers(*lines)).fields, proxies)


# Who


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([f"X-Forwarded-For: {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {MADE_UP}, {CLIENT}"], CLIENT),
        ([f"X-Forwarded-For: {MADE_UP}, {CLIENT}, {FAR}"], CLIENT),
        ([f"X-Forwarded-For: {MADE_UP}", f"X-Forwarded-For: {CLIENT}", f"X-Forwarded-For: {FAR}"], CLIENT),
        ([f"X-Forwarded-For: {MADE_UP},{CLIENT} ,, {FAR},"], CLIENT),
        ([f"X-Forwarded-For: {CLIENT}:51234"], CLIENT),
        ([f"X-Forwarded-For: {CLIENT}, {FAR}:443"], CLIENT),
        ([f'X-Forwarded-For: "{CLIENT}"'], CLIENT),
        ([f"X-Forwarded-For: ::FFFF:{CLIENT}, ::ffff:{FAR}"], CLIENT),
        ([f"X-Forwarded-For: {CLIENT}, unix:"], CLIENT),
        (["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (["X-Forwarded-For: 2001:0DB8:0:0::1, FD00::2"], "2001:db8::1"),
        (["X-Forwarded-For: [2001:db8::1]"], "2001:db8::1"),
        (["X-Forwarded-For: [2001:db8::1]:51234, [fd00::2]:443"], "2001:db8::1"),
        # a client within the networks that are trusted
        ([f"X-Forwarded-For: 10.9.9.9, {FAR}"], "10.9.9.9"),
        # a proxy that does not say whom it spoke to counts as the client
        (["X-Forwarded-For: unknown"], NEAR),
        ([f"X-Forwarded-For: {CLIENT}, unknown, {FAR}"], FAR),
        ([f"X-Forwarded-For: {CLIENT}, 10.0.0.999"], NEAR),
        ([f"X-Forwarded-For: {CLIENT}, 010.0.0.2"], NEAR),
        (["X-Forwarded-For: " + "1" * 5000], NEAR),
        (["X-Forwarded-For: "], NEAR),
        (["X-Real-IP: 198.51.100.9"], NEAR),
        ([], NEAR),
        # the standard's header
        ([f"Forwarded: for={CLIENT}"], CLIENT),
        ([f"Forwarded: for={MADE_UP}, for={CLIENT};proto=https, for={FAR}"], CLIENT),
        ([f"Forwarded: for={MADE_UP}", f"Forwarded: For={CLIENT}"], CLIENT),
        ([f'Forwarded: by=_x;FOR="{CLIENT}:4711"'], CLIENT),
        (['Forwarded: for="[2001:db8::1]:4711"'], "2001:db8::1"),
        ([f'Forwarded: for="_a,for={CLIENT}"'], NEAR),
        ([f'Forwarded: for="_a;for={CLIENT}"'], NEAR),
        (["Forwarded: for=unknown, for=_hidden"], NEAR),
        ([f"Forwarded: for={CLIENT}, proto=https"], NEAR),
        # both: whoever writes one passes the other on as the client made it up
        ([f"Forwarded: for={CLIENT}", f"X-Forwarded-For: {CLIENT}"], CLIENT),
        ([f"Forwarded: for={MADE_UP}", f"X-Forwarded-For: {CLIENT}"], NEAR),
        ([f"Forwarded: for={CLIENT}", f"X-Forwarded-For: {MADE_UP}"], NEAR),
    ],
)
def test_the_client_is_whom_the_outermost_trusted_proxy_spoke_to(lines: list[str], address: str) -> None:
    assert came(*lines).address == address


@pytest.mark.parametrize("peer", [NEAR, f"::ffff:{NEAR}", "fd00::1", "FD00:0::1", "fd00::1%eth0", "unix"])
def test_a_trusted_proxy_is_known_however_its_address_is_written(peer: str) -> None:
    assert came(f"X-Forwarded-For: {CLIENT}", peer=peer).address == CLIENT


@pytest.mark.parametrize("peer", ["11.0.0.1", "192.0.2.1", "::1", "fe80::1", "", "10.0.0.1.evil.example"])
@pytest.mark.parametrize("kind", ["X-Forwarded-For: ", "Forwarded: for="])
def test_of_anybody_else_nothing_is_believed(peer: str, kind: str) -> None:
    lines = [kind + CLIENT, "X-Forwarded-Proto: https", "X-Forwarded-Host: outer", "Forwarded: proto=https;host=outer"]
    assert came(*lines, peer=peer) == Forwarded(peer, "inner", secure=False)


def test_without_proxies_nothing_is_believed_of_anybody() -> None:
    lines = [f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer"]
    for peer in (NEAR, "unix", ""):
        assert came(*lines, peer=peer, proxies=Proxies()) == Forwarded(peer, "inner", secure=False)


@pytest.mark.parametrize("peer", ["2001:DB8:0::1", "2001:db8::1"])
def test_one_client_has_one_address(peer: str) -> None:
    assert came(peer=peer).address == "2001:db8::1"
    assert came(peer=f"::ffff:{CLIENT}").address == CLIENT


@given(st.lists(st.sampled_from([NEAR, FAR, CLIENT, MADE_UP, "unknown"]), max_size=6))
def test_nothing_left_of_the_first_hop_that_is_not_trusted_counts(hops: list[str]) -> None:
    end = list(itertools.takewhile(lambda hop: hop in (NEAR, FAR), reversed(hops)))
    known = [NEAR, *end]
    beyond = hops[len(hops) - len(end) - 1 :][:1] if len(end) < len(hops) else []
    expected = known[-1] if beyond in ([], ["unknown"]) else beyond[0]
    assert came("X-Forwarded-For: " + ", ".join(hops)).address == expected


# How, and for which host


@pytest.mark.parametrize(
    ("lines", "secure"),
    [
        (["X-Forwarded-Proto: https"], True),
        (["X-Forwarded-Proto: wss"], True),
        (["X-Forwarded-Proto: HTTPS"], True),
        (["X-Forwarded-Proto:  WSS "], True),
        (["X-Forwarded-Proto: https, http"], True),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], True),
        (["Forwarded: for=203.0.113.7;proto=https"], True),
        (['Forwarded: Proto="WSS"'], True),
        (["X-Forwarded-Proto: http"], False),
        (["X-Forwarded-Proto: ws"], False),
        (["X-Forwarded-Proto: ftp"], False),
        (["X-Forwarded-Proto: httpss"], False),
        (["Forwarded: proto=http"], False),
        ([], False),
        # a list that goes with the hops: what the proxy says that saw the client, not what the client made up
        ([f"X-Forwarded-For: {MADE_UP}, {CLIENT}", "X-Forwarded-Proto: https, http"], False),
        ([f"X-Forwarded-For: {MADE_UP}, {CLIENT}", "X-Forwarded-Proto: http, https"], True),
        ([f"X-Forwarded-For: {CLIENT}, {FAR}", "X-Forwarded-Proto: https, http"], True),
        ([f"Forwarded: for={MADE_UP};proto=https, for={CLIENT};proto=http"], False),
        ([f"Forwarded: for={CLIENT};proto=https, for={FAR};proto=http"], True),
    ],
)
def test_a_trusted_proxy_says_whether_it_was_tls(lines: list[str], secure: bool) -> None:
    assert came(*lines).secure is secure


@pytest.mark.parametrize(("said", "secure"), [("X-Forwarded-Proto: http", False), ("X-Other: x", True)])
def test_what_the_socket_says_holds_unless_a_proxy_says_otherwise(said: str, secure: bool) -> None:
    assert came(said, secure=True).secure is secure


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        (["X-Forwarded-Host: outer"], "outer"),
        (["X-Forwarded-Host: outer:8443, inner"], "outer:8443"),
        (["X-Forwarded-Host: outer", "X-Forwarded-Host: inner"], "outer"),
        ([f"X-Forwarded-For: {MADE_UP}, {CLIENT}", "X-Forwarded-Host: evil, outer"], "outer"),
        (['Forwarded: host="outer:8443"'], "outer:8443"),
        (["Forwarded: for=203.0.113.7"], "inner"),
        (["X-Forwarded-Proto: https"], "inner"),
        (["X-Forwarded-Host: "], "inner"),
        (["Host: a", "Host: b"], None),
    ],
)
def test_a_trusted_proxy_says_for_which_host(lines: list[str], host: str | None) -> None:
    assert came(*lines).host == host


# What may be set


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/32", "10.0.0.7"),
        (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("FD00:0::/8", "fd00::/8"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("unix", "unix"),
        ("unix:", "unix"),
    ],
)
def test_addresses_and_networks_are_proxies(written: str, read: str) -> None:
    assert load_settings({"trusted_proxies": (written,)}, {}).trusted_proxies == (read,)
    assert parse_proxy(read) == read


@pytest.mark.parametrize(
    "written",
    [
        "nginx",
        "localhost",
        "*",
        "all",
        "10.0.0.0/33",
        "10.0.0.7/8",
        "10.0.0",
        "10.0.0.*",
        "10.0.0.0-10.0.0.9",
        "10.0.0.7:80",
        "010.0.0.7",
        "::1/200",
        "1::2::3",
        "http://10.0.0.7",
        "unix:/run/nginx.sock",
        "/",
    ],
)
def test_what_is_no_address_is_refused_at_the_start(written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"trusted_proxies: .* addresses and networks such as"):
        load_settings({}, {"MESSAGEFLOW_TRUSTED_PROXIES": f"10.0.0.7,{written}"})


# From this machine


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "LOCALHOST:8000"),
        ("127.0.0.1", "gateway.localhost:8000"),
        ("127.0.0.1", "127.9.9.9"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "[::ffff:127.0.0.1]:8000"),
    ],
)
def test_a_program_on_this_machine_asks_for_this_machine(peer: str, host: str) -> None:
    assert is_local(peer, "1.1", headers(f"Host: {host}"), Proxies())


@pytest.mark.parametrize(
    ("peer", "lines"),
    [
        ("127.0.0.1", ["Host: push.example.com"]),
        ("127.0.0.1", ["Host: localhost.evil.example"]),
        ("127.0.0.1", ["Host: 127.0.0.1.evil.example"]),
        ("127.0.0.1", ["Host: evillocalhost"]),
        ("127.0.0.1", ["Host: 0.0.0.0:8000"]),
        ("127.0.0.1", ["Host: user@localhost"]),
        ("127.0.0.1", ["Host: localhost, push.example.com"]),
        ("127.0.0.1", ["Host: localhost", "Host: localhost"]),
        ("127.0.0.1", ["Host: "]),
        ("203.0.113.7", ["Host: localhost"]),
        ("", ["Host: localhost"]),
        ("unix", ["Host: localhost"]),
        ("127.0.0.1", ["Host: localhost", "X-Forwarded-For: 203.0.113.7"]),
        ("127.0.0.1", ["Host: localhost", "X-Forwarded-For: 127.0.0.1"]),
        ("127.0.0.1", ["Host: localhost", "X-Forwarded-Proto: https"]),
        ("127.0.0.1", ["Host: localhost", "X-Real-IP: 203.0.113.7"]),
        ("127.0.0.1", ["Host: localhost", "Forwarded: for=203.0.113.7"]),
        ("127.0.0.1", ["Host: localhost", "Via: 1.1 proxy"]),
    ],
)
def test_anything_else_is_not_from_this_machine(peer: str, lines: list[str]) -> None:
    assert not is_local(peer, "1.1", headers(*lines), Proxies())


def test_a_proxy_is_not_a_program_on_this_machine() -> None:
    local = headers("Host: localhost")
    assert not is_local("127.0.0.1", "1.1", local, Proxies(["127.0.0.0/8"]))
    assert not is_local("127.0.0.1", "1.0", local, Proxies())  # as nginx speaks unless it is told otherwise
    assert not is_local("127.0.0.1", "1.1", [], Proxies())
