"""What a gateway refuses to start with: each refusal names the setting and the way out."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from messageflow.errors import ConfigurationError
from messageflow.gateway.hosts import is_loopback
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_check import check_settings
from messageflow.gateway.settings_loading import replace_values

API_KEY = "a" * 32
TOKEN_SECRET = "t" * 32
HOOKS_URL = "https://app.example/messageflow/hooks"
SAFE = replace_values(Settings(), api_key=API_KEY, token_secret=(TOKEN_SECRET,))


def changed(**values: Any) -> Settings:
    return replace_values(SAFE, **values)


def test_loopback_with_two_good_keys_is_safe() -> None:
    check_settings(SAFE)
    check_settings(changed(dev=True))


def test_a_bus_that_only_this_machine_reaches_is_safe_and_others_where_one_says_so() -> None:
    check_settings(changed(zeromq=("ipc:///run/bus", "tcp://127.0.0.1:1", "tcp://[::1]:1")))
    check_settings(changed(zeromq=("tcp://*:64002",), zeromq_public=True))


def test_public_keys_do_instead_of_a_token_secret() -> None:
    check_settings(changed(token_secret=(), token_public_keys=("-----BEGIN PUBLIC KEY-----",)))


def test_any_address_is_safe_behind_a_proxy_that_ends_tls() -> None:
    check_settings(changed(host="0.0.0.0", tls_terminated=True))


def test_any_address_is_safe_with_a_certificate(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.touch()
    key.touch()
    check_settings(changed(host="0.0.0.0", tls_cert=cert, tls_key=key))


@pytest.mark.parametrize(
    ("values", "dev", "parts"),
    [
        ({"zeromq": ("tcp://*:64002",)}, False, ("tcp://*:64002", "tcp://127.0.0.1", "ipc://", "zeromq_public")),
        ({"zeromq": ("pub+tcp://10.0.0.7:1",)}, False, ("refusing to listen on pub+tcp://10.0.0.7:1",)),
        ({"api_key": ""}, False, ("api_key is not set", "messageflow secret", "MESSAGEFLOW_API_KEY", "--dev")),
        ({"token_secret": ()}, False, ("token_secret is not set", "MESSAGEFLOW_TOKEN_SECRET", "--dev")),
        ({"api_key": "a" * 31}, False, ("api_key is 31 bytes long, 32 are the least", "messageflow secret")),
        ({"token_secret": (TOKEN_SECRET, "old")}, False, ("token_secret is 3 bytes long",)),
        ({"api_key": "ä" * 32}, False, ("api_key holds characters", "printable ASCII", "messageflow secret")),
        ({"api_key": "a" * 32 + "\0"}, False, ("api_key holds characters",)),
        ({"api_key": "\udcff" * 32}, False, ("api_key holds characters",)),
        ({"token_secret": ("\udcff" * 32,)}, False, ("token_secret holds characters", "UTF-8")),
        ({"token_secret": ("short",)}, True, ("token_secret is 5 bytes long",)),
        ({"hooks_url": HOOKS_URL}, False, ("hooks_secret is not", "messageflow secret", "MESSAGEFLOW_HOOKS_SECRET")),
        ({"hooks_url": HOOKS_URL, "hooks_secret": ("short",)}, False, ("hooks_secret is 5 bytes long, 32 are the",)),
        ({"hooks_url": HOOKS_URL, "hooks_secret": ("whsec_AAAA",)}, False, ("hooks_secret is 3 bytes long",)),
        ({"hooks_url": HOOKS_URL, "hooks_secret": ("whsec_,",)}, False, ("no base64", "messageflow secret")),
        ({"hooks_url": HOOKS_URL, "hooks_secret": (TOKEN_SECRET,)}, False, ("also api_key or token_secret",)),
        ({"hooks_url": HOOKS_URL, "hooks": "app:flow"}, False, ("hooks and hooks_url are both set",)),
        ({"token_secret": (TOKEN_SECRET, API_KEY)}, False, ("are the same", "messageflow secret")),
        ({"client_insecure": True, "host": "0.0.0.0", "tls_cert": Path("c.pem"), "tls_key": Path("c.pem")}, False, ()),
        ({"client_insecure": True, "host": "0.0.0.0"}, False, ("loopback only, not on 0.0.0.0", "flow.token")),
        ({"client_insecure": True, "tls_terminated": True}, False, ("loopback only, not behind a proxy",)),
        ({"client_insecure": True, "trusted_proxies": (ip_network("10.0.0.0/8"),)}, False, ("not behind a proxy",)),
        ({"host": "0.0.0.0"}, False, ("0.0.0.0 without TLS", "tls_cert and tls_key", "tls_terminated")),
        ({"host": "192.0.2.1", "tls_terminated": True}, True, ("--dev works on loopback only, not on 192.0.2.1",)),
        ({"tls_cert": Path("c.pem")}, False, ("tls_cert is set but tls_key is not",)),
        ({"tls_key": Path("k.pem")}, False, ("tls_key is set but tls_cert is not",)),
        ({"tls_cert": Path("no/c.pem"), "tls_key": Path("no/k.pem")}, False, ("tls_cert: there is no file no/c.pem",)),
    ],
)
def test_what_is_unsafe_is_refused_with_the_way_out(values: dict[str, Any], dev: bool, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_settings(changed(**values, dev=dev))
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("secret", [API_KEY, TOKEN_SECRET])
def test_no_refusal_repeats_a_secret(secret: str) -> None:
    for values in ({"token_secret": (API_KEY,)}, {"host": "0.0.0.0"}, {"api_key": ""}):
        with pytest.raises(ConfigurationError) as caught:
            check_settings(changed(**values))
        assert secret not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", "127.0.0.1.example.com", ""])
def test_other_addresses(host: str) -> None:
    assert not is_loopback(host)


def test_a_ping_has_to_be_answered_before_the_next() -> None:
    with pytest.raises(ConfigurationError, match=r"pong_timeout .* must be shorter than ping_interval"):
        check_settings(changed(ping_interval=5.0, pong_timeout=5.0))


@pytest.mark.parametrize(("channels", "size"), [(128, 65_535), (1000, 65_536), (1000, 511_999)])
def test_a_message_too_small_for_all_the_channels_is_refused(channels: int, size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"message_size_limit.*channels_per_connection.*{512 * channels}"):
        check_settings(changed(channels_per_connection=channels, message_size_limit=size))
    check_settings(changed(channels_per_connection=channels, message_size_limit=512 * channels))
    check_settings(changed(channels_per_connection=channels))
