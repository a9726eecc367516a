"""What the configuration of an application says of messageflow: `MESSAGEFLOW_…`, one declaration for all frameworks.

Whatever is wrong is said at the start, with the name of the key and without the value of a secret. What is not told is
found in the environment, or as a `Flow` finds it.

Where the keys come from is the framework's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from messageflow.core.application_variables import APPLICATION_VARIABLES
from messageflow.core.credentials import SECRET_BYTES, credential, credentials
from messageflow.core.durations import parse_duration
from messageflow.core.gateway_paths import parse_base_path
from messageflow.core.webhook_signatures import read_key
from messageflow.errors import ConfigurationError
from messageflow.publisher import tokens
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.discovery import find_hooks_secrets
from messageflow.publisher.flow import Flow

AnyFlow = TypeVar("AnyFlow", Flow, AsyncFlow)

PREFIX = "MESSAGEFLOW_"
TOKEN_PATH = "/socket_auth_token"
SECRETS = frozenset({"api_key", "token_secret", "hooks_secret"})
DURATIONS = frozenset({"timeout", "token_ttl", "token_lifetime_limit"})
IN_ENVIRONMENT = frozenset(name.lower() for name in APPLICATION_VARIABLES - {"URL", "SCRIPT_URL"})


class ToldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an application may say, in lower case here.

    Args:
        url, api_key, token_secret, timeout, token_issuer, token_audience, token_lifetime_limit, prefix, base_path: as
            `Flow` takes them.
        token_ttl: how long the tokens of pages are good.
        token_path: where pages fetch them; None for an application that has a view of its own.
        script_url: where pages load the browser client; else where the gateway is seen to be.
        hooks_secret: signs what a gateway elsewhere asks; several, apart by commas, are rotated.
        hooks_path: where it asks; None for nowhere.
        revoke_on_logout: whether who logs out is cut off everywhere.
    """

    url: str | None = None
    api_key: str | None = None
    token_secret: str | None = None
    timeout: float | None = None
    token_issuer: str | None = None
    token_audience: str | None = None
    token_lifetime_limit: float | None = None
    prefix: str | None = None
    base_path: str | None = None
    token_ttl: float | None = None
    token_path: str | None = TOKEN_PATH
    script_url: str | None = None
    hooks_secret: str | None = None
    hooks_path: str | None = "/messageflow/hooks"
    revoke_on_logout: bool = True

    @property
    def ttl(self) -> float:
        """How long the tokens of pages are good, in seconds."""
        return tokens.TTL.total_seconds() if self.token_ttl is None else self.token_ttl

    def make_flow(self) -> Flow:
        """Return a flow that was told this.

        Raises:
            ConfigurationError: it cannot be used.
        """
        return self._make(Flow)

    def make_async_flow(self) -> AsyncFlow:
        """Return one to await; raises as `make_flow`."""
        return self._make(AsyncFlow)

    def _make(self, kind: type[AnyFlow]) -> AnyFlow:
        told = {
            name: getattr(self, name)
            for name in ("token_issuer", "token_audience", "token_lifetime_limit", "prefix", "base_path", "timeout")
            if getattr(self, name) is not None
        }
        try:
            flow = kind(self.url or None, api_key=self.api_key, token_secret=self.token_secret, **told)
            if self.token_ttl is not None:
                tokens.read_ttl(self.token_ttl, flow.token_lifetime_limit)
        except ConfigurationError as error:
            raise ConfigurationError(f"{PREFIX}URL: {error}") from None
        except ValueError as error:
            raise ConfigurationError(f"{PREFIX}TOKEN_TTL: {error}") from None
        return flow

    def find_hooks_secrets(self) -> tuple[str, ...]:
        """Return the secrets of a gateway elsewhere: as told, else as `flow.webhook` finds them."""
        return credentials(self.hooks_secret or "") or find_hooks_secrets()


def read_settings(
    told: Mapping[str, Any], environ: Mapping[str, str] | None = None, *, prefix: str = PREFIX
) -> ToldSettings:
    """Return what a configuration says, and of what it leaves out the environment.

    Args:
        told: the whole configuration; of it the keys with the prefix in front are read.
        environ: the environment. Its names may stand in the configuration too, such as variables that are a gateway's.
        prefix: of the keys, such as `messageflow.` where that is how the framework's configuration is written.

    Raises:
        ConfigurationError: a key that nobody knows, or a value that cannot be used, by its name.
    """
    environ = {} if environ is None else environ
    found: dict[str, Any] = {}
    for key in told:
        if not (isinstance(key, str) and key.startswith(prefix)):
            continue
        name = key.removeprefix(prefix).lower()
        if name in ToldSettings.__struct_fields__:
            found[name] = _read(key, name, told[key])
        elif key not in environ:
            raise ConfigurationError(f"{key} is no setting{_suggest(key, prefix)}")
    return ToldSettings(**{**_read_environment(environ), **found})


def name_settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that may stand there by their short name, such as `URL`, with the prefix in front."""
    return {key if key.startswith(PREFIX) else f"{PREFIX}{key}".upper(): value for key, value in told.items()}


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what a `Flow` does not look for there by itself."""
    keys = {PREFIX + name.upper(): name for name in IN_ENVIRONMENT}
    return {name: _read(key, name, environ[key].strip()) for key, name in keys.items() if environ.get(key, "").strip()}


def _suggest(key: str, prefix: str) -> str:
    known = [prefix + (name.upper() if prefix.isupper() else name) for name in ToldSettings.__struct_fields__]
    near = get_close_matches(key, known, 1)
    return f": did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _read(key: str, name: str, value: Any) -> Any:
    if name in DURATIONS:
        return _read_duration(key, value)
    if name == "revoke_on_logout":
        said = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).strip().lower())
        if said is not None:
            return said
        raise ConfigurationError(f"{key} is {value!r}: write True or False")
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{key} is a {type(value).__name__}: write it as text, or None")
    if name in SECRETS:
        _check_secret(key, name, value)
    elif name in ("token_path", "hooks_path") and value.strip().lower() == "none":  # as files and variables say it
        return None
    elif name.endswith("_path") and not _is_path(name, value):
        raise ConfigurationError(f"{key} is {value!r}: write a path, such as {TOKEN_PATH}")
    return value


def _is_path(name: str, value: str) -> bool:
    if name != "base_path":
        return value.startswith("/")
    try:
        return bool(parse_base_path(value))
    except ValueError:
        return False


def _read_duration(key: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else parse_duration(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ConfigurationError(f"{key} is {value!r}: write seconds, a timedelta, or text such as 90s, 10m or 1h")
    return seconds


def _check_secret(key: str, name: str, value: str) -> None:
    if name == "hooks_secret":
        for secret in credentials(value):
            try:
                read_key(secret)
            except ValueError as error:
                raise ConfigurationError(f"{key}: {error}") from None
    elif name == "token_secret":
        size = len(credential(value).encode(errors="replace"))
        if value and size < SECRET_BYTES:
            raise ConfigurationError(
                f"{key} is {size} bytes long, {SECRET_BYTES} are the least: make one with `messageflow secret`"
            )
    elif not (value.isascii() and credential(value).isprintable()):
        raise ConfigurationError(f"{key} holds characters that no header can carry")
