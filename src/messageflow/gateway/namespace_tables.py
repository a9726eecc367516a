"""The tables of channels in the configuration file: what they say becomes the options of namespaces.

Rights may be written as in a token, `allow = ["subscribe", "history"]`; that is the options `allow_*_for_client`, and
nothing else than these is known from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messageflow.core.channel_patterns import ALL
from messageflow.core.durations import parse_duration
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.core.token_rights import VERBS
from messageflow.errors import ConfigurationError
from messageflow.gateway.misspellings import refuse_unknown

_CHANNEL_TABLES = ("without_namespace", "personal", "broadcast", "namespaces")
_OPTIONS = NamespaceOptions.__struct_fields__
_NOBODYS = ("allow_subscribe_", "allow_publish_", "allow_user_limited_", "channel_regex", "allowed_delta_types")
"""Options, by how their names begin, without a meaning where the server alone subscribes and the backend publishes."""

ALLOWED_TO: Mapping[str, str] = {"allow": "client", "allow_for_subscriber": "subscriber"}
"""Lists of rights, and whose they are in the names of options."""


def read_namespaces(channel: object, source: str) -> Namespaces:
    """Return the options of all channels.

    Args:
        channel: what the file says below `[channel]`.
        source: the file, for messages.

    Raises:
        ConfigurationError: something there is unknown, malformed, or said twice.
    """
    if not isinstance(channel, dict):
        raise ConfigurationError(f"channel in {source} must be a table such as [channel.without_namespace]")
    refuse_unknown(f"table in [channel] of {source}", channel, _CHANNEL_TABLES)
    base = Namespaces()
    named, patterns = _read_listed(channel.get("namespaces", []), source)
    if ALL in patterns and "without_namespace" in channel:
        raise ConfigurationError(
            f"channel.namespaces in {source}: the pattern '*' takes every channel that no other namespace does, and "
            "leaves none to [channel.without_namespace]: keep one of them"
        )
    for name in ("personal", "broadcast"):
        _refuse_meaningless(channel.get(name, {}), f"channel.{name} in {source}")
    single = {
        name: _read_options(channel.get(name, {}), options, f"channel.{name} in {source}")
        for name, options in (
            ("without_namespace", base.default),
            ("personal", base.personal),
            ("broadcast", base.broadcast),
        )
    }
    try:
        return Namespaces(single["without_namespace"], named, single["personal"], single["broadcast"], patterns)
    except ConfigurationError as error:
        raise ConfigurationError(f"channel.namespaces in {source}: {error}") from None


def list_verbs(whose: str) -> tuple[str, ...]:
    """Return what options allow to somebody."""
    return tuple(verb for verb in VERBS if name_option(verb, whose) in _OPTIONS)


def name_option(verb: str, whose: str) -> str:
    """Return the name of the option that allows something to somebody."""
    return f"allow_{verb}_for_{whose}"


def _read_listed(listed: object, source: str) -> tuple[dict[str, NamespaceOptions], dict[str, NamespaceOptions]]:
    """Return the options of namespaces by name, and by pattern."""
    if not isinstance(listed, list):
        raise ConfigurationError(
            f"channel.namespaces in {source} must be written [[channel.namespaces]], once for each"
        )
    found: dict[str, dict[str, NamespaceOptions]] = {"name": {}, "pattern": {}}
    for table in listed:
        key = "pattern" if isinstance(table, dict) and "pattern" in table else "name"
        called = table.get(key) if isinstance(table, dict) else None
        if not isinstance(called, str) or called in found[key]:
            raise ConfigurationError(f"every [[channel.namespaces]] in {source} needs a {key} of its own")
        if key == "pattern" and "name" in table:
            raise ConfigurationError(
                f"channel.namespaces in {source}: the one with the pattern {called!r} has a name too: keep one of them"
            )
        rest = {option: value for option, value in table.items() if option != key}
        found[key][called] = _read_options(rest, NamespaceOptions(), f"namespace {called} in {source}")
    return found["name"], found["pattern"]


def _read_options(table: object, base: NamespaceOptions, source: str) -> NamespaceOptions:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{source} must be a table")
    refuse_unknown(f"option of {source}", table, (*_OPTIONS, *ALLOWED_TO))
    given = _spell_out(table, source)
    if isinstance(given.get("history_ttl"), str):
        try:
            given["history_ttl"] = parse_duration(given["history_ttl"])
        except ValueError:
            raise ConfigurationError(
                f'history_ttl: {given["history_ttl"]!r} from {source} will not do; it must be a duration such as "10m"'
            ) from None
    try:
        return msgspec.convert({**msgspec.structs.asdict(base), **given}, NamespaceOptions)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{source}: {error}") from None


def _refuse_meaningless(table: object, source: str) -> None:
    """Refuse options of the server's own channels that would change nothing there."""
    for option in _spell_out(table, source) if isinstance(table, dict) else ():
        if option.startswith(_NOBODYS):
            raise ConfigurationError(
                f"{source}: {option} would change nothing: the server subscribes to these channels and your backend "
                "publishes in them. Use a namespace of your own"
            )


def _spell_out(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return options in which each list of rights is what it stands for."""
    given = {option: value for option, value in table.items() if option not in ALLOWED_TO}
    for key, whose in ALLOWED_TO.items():
        verbs, known = table.get(key, []), list_verbs(whose)
        if not isinstance(verbs, list) or any(verb not in known for verb in verbs):
            raise ConfigurationError(
                f"{key}: {verbs!r} from {source} will not do; it must be a list of some of {', '.join(known)}"
            )
        for option in (name_option(verb, whose) for verb in verbs):
            if option in table:
                raise ConfigurationError(f"{key} and {option} in {source} say the same: keep one of them")
            given[option] = True
    return given
