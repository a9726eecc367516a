"""What a gateway refuses to start with, and what to do instead.

Pure decisions over `Settings`; opens nothing. Each refusal names the setting and the way out.
"""

from __future__ import annotations

import os

from messageflow.core.credentials import SECRET_BYTES
from messageflow.core.webhook_signatures import read_key
from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.errors import ConfigurationError
from messageflow.gateway.hosts import is_loopback
from messageflow.gateway.settings import Settings
from messageflow.hub.limits import FRAME_BYTES_A_CHANNEL

_CHARACTERS = {"api_key": "printable ASCII", "token_secret": "UTF-8", "hooks_secret": "UTF-8"}


def check_settings(settings: Settings) -> None:
    """Refuse settings that are unsafe or cannot work.

    Args:
        settings: with the keys a `--dev` start has made already filled in.

    Raises:
        ConfigurationError: says which setting, and what to do.
    """
    if settings.limits.heartbeat.pong_timeout >= settings.limits.heartbeat.ping_interval:
        raise ConfigurationError(
            f"pong_timeout ({settings.limits.heartbeat.pong_timeout:g} s) must be shorter than ping_interval "
            f"({settings.limits.heartbeat.ping_interval:g} s): a ping is answered before the next is sent"
        )
    channels = settings.limits.channels_per_connection
    least = FRAME_BYTES_A_CHANNEL * channels
    if 0 < settings.frames.message_size_limit < least:
        raise ConfigurationError(
            f"message_size_limit ({settings.frames.message_size_limit}) is less than {FRAME_BYTES_A_CHANNEL} bytes for "
            f"each of channels_per_connection ({channels}): a page that comes back subscribes to "
            f"all of them in one message; set it to at least {least}, or leave it out"
        )
    if settings.workers > 1 and not hasattr(os, "fork"):
        raise ConfigurationError(
            f"workers is {settings.workers}: on this system processes cannot share a listening socket; use --workers 1"
        )
    _check_address(settings)
    _check_zeromq(settings)
    _check_presence(settings)
    _check_webhook(settings)
    _check_strength(settings)


def _check_address(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        given, missing = ("tls_key", "tls_cert") if settings.tls_cert is None else ("tls_cert", "tls_key")
        raise ConfigurationError(f"{given} is set but {missing} is not: TLS needs both")
    for name, path in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        if path is not None and not path.is_file():
            raise ConfigurationError(f"{name}: there is no file {path}")
    is_proxied = settings.tls_terminated or bool(settings.trusted_proxies)
    if settings.client_insecure and (is_proxied or not is_loopback(settings.host)):
        raise ConfigurationError(
            f"client_insecure asks nobody who they are, so it works on loopback only, not "
            f"{'behind a proxy (tls_terminated, trusted_proxies)' if is_proxied else f'on {settings.host}'}: use "
            "--host 127.0.0.1 and no proxy, or leave it out and give your clients tokens (flow.token)"
        )
    if is_loopback(settings.host):
        return
    if settings.dev:
        raise ConfigurationError(
            f"--dev works on loopback only, not on {settings.host}: use --host 127.0.0.1, or set api_key and "
            "token_secret (`messageflow secret` makes one) and start without --dev"
        )
    if settings.tls_cert is None and not settings.tls_terminated:
        raise ConfigurationError(
            f"refusing to listen on {settings.host} without TLS: set tls_cert and tls_key, or, if a proxy in front "
            "ends TLS, set tls_terminated"
        )


def _check_zeromq(settings: Settings) -> None:
    for address in map(parse_zeromq_address, settings.zeromq):
        if address.host and not is_loopback(address.host) and not settings.zeromq_public:
            raise ConfigurationError(
                f"refusing to listen on {address}: whoever reaches it could push to everybody, for ZeroMQ asks for no "
                "key; use tcp://127.0.0.1 or ipc://, or, where nobody else can reach that network, set zeromq_public"
            )


def _check_presence(settings: Settings) -> None:
    if not settings.api_key:
        raise ConfigurationError(
            "api_key is not set, so no backend could publish: make one with `messageflow secret` and set "
            "MESSAGEFLOW_API_KEY to it, or start with --dev on your own machine"
        )
    if not settings.tokens.token_secret and not settings.tokens.token_public_keys:
        raise ConfigurationError(
            "token_secret is not set, so no user could connect: make one with `messageflow secret` and set "
            "MESSAGEFLOW_TOKEN_SECRET to it (or set token_public_keys), or start with --dev on your own machine"
        )


def _check_webhook(settings: Settings) -> None:
    if not settings.hooks_url:
        return
    if settings.hooks:
        raise ConfigurationError(
            "hooks and hooks_url are both set, and the application decides in one place: leave one of them out"
        )
    if not settings.hooks_secret:
        raise ConfigurationError(
            "hooks_url is set but hooks_secret is not, so the application could not tell the gateway from anybody "
            "else: make one with `messageflow secret`, and set MESSAGEFLOW_HOOKS_SECRET to it here and for the "
            "application, or start with --dev on your own machine"
        )
    for secret in settings.hooks_secret:
        try:
            read_key(secret)
        except ValueError:
            raise ConfigurationError(
                "hooks_secret begins with whsec_, and what follows is no base64: make one with `messageflow secret`"
            ) from None


def _can_be_shown(name: str, secret: str) -> bool:
    """Whether it can be used: a key travels in a header, a secret is bytes to the library that signs."""
    if name == "api_key":
        return secret.isascii() and secret.isprintable()
    return not any("\ud800" <= character <= "\udfff" for character in secret)


def _check_strength(settings: Settings) -> None:
    token_secret, hooks_secret = settings.tokens.token_secret, settings.hooks_secret
    signing = (*(("token_secret", each) for each in token_secret), *(("hooks_secret", each) for each in hooks_secret))
    for name, secret in (("api_key", settings.api_key), *signing):
        size = len(read_key(secret) if name == "hooks_secret" else secret.encode(errors="replace"))
        if size < SECRET_BYTES:
            raise ConfigurationError(
                f"{name} is {size} bytes long, {SECRET_BYTES} are the least: make one with `messageflow secret`"
            )
        if not _can_be_shown(name, secret):
            raise ConfigurationError(
                f"{name} holds characters that nobody could send or sign with, only {_CHARACTERS[name]} will do: make "
                "one with `messageflow secret`"
            )
    if {settings.api_key, *token_secret} & {*hooks_secret}:
        raise ConfigurationError(
            "hooks_secret is also api_key or token_secret: who can read what the application believes could then "
            "publish, or be any user; make another with `messageflow secret`"
        )
    if settings.api_key in token_secret:
        raise ConfigurationError(
            "api_key and token_secret are the same: a program that may publish could then be any user; "
            "make another with `messageflow secret`"
        )
