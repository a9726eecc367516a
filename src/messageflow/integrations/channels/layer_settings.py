"""What `CONFIG` of a channel layer says, and the flows that it makes.

Whatever is wrong is said when the layer is made, by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from messageflow.errors import ConfigurationError
from messageflow.publisher.async_flow import AsyncFlow
from messageflow.publisher.flow import Flow
from messageflow.publisher.redis_target import is_redis

LONGEST_EXPIRY = 600  # seconds: as long as a gateway keeps what was published, and knows its keys
PREFIX = re.compile(r"[A-Za-z\d_.:-]{1,100}")
MOST_CAPACITY = 1000  # as many as one look at a history shows


class LayerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a layer may be told.

    Args:
        url, api_key, token_secret: as `Flow` takes them; else those of the project, or of the environment.
        prefix: what the names of its channels at the gateway begin with; layers with the same one hear each other.
        expiry: seconds a message waits to be received, at most ten minutes.
        group_expiry: seconds a channel stays in a group that it never leaves.
        capacity: messages that wait in one channel; more are refused by `send` and dropped by `group_send`.
        channel_capacity: the same for the channels that a pattern names.
    """

    url: str | None = None
    api_key: str | None = None
    token_secret: str | None = None
    prefix: str = "channels."
    expiry: float = 60
    group_expiry: float = 86400
    capacity: int = 100
    channel_capacity: dict[Any, int] = {}


def read_layer_settings(config: Mapping[str, Any]) -> LayerSettings:
    """Return what a layer is told.

    Raises:
        ConfigurationError: something cannot be used; the message names it.
    """
    known = LayerSettings.__struct_fields__
    for name in config:
        if name not in known:
            raise ConfigurationError(f"{name} in CONFIG of CHANNEL_LAYERS is not known: there are {', '.join(known)}")
    try:
        told = msgspec.convert(dict(config), LayerSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"CONFIG of CHANNEL_LAYERS: {error}") from None
    if not 0 < told.expiry <= LONGEST_EXPIRY:
        raise _refuse("expiry", told.expiry, f"seconds, at most {LONGEST_EXPIRY}")
    if not told.group_expiry > 0:
        raise _refuse("group_expiry", told.group_expiry, "seconds")
    if not 0 < told.capacity <= MOST_CAPACITY:
        raise _refuse("capacity", told.capacity, f"how many messages may wait, at most {MOST_CAPACITY}")
    for pattern, capacity in told.channel_capacity.items():
        if not 0 < capacity <= MOST_CAPACITY:
            raise _refuse(f"channel_capacity[{pattern!r}]", capacity, f"how many may wait, at most {MOST_CAPACITY}")
    if not PREFIX.fullmatch(told.prefix):
        raise _refuse("prefix", told.prefix, "what channels are called at the gateway, such as 'channels.'")
    if told.url and is_redis(told.url):
        raise ConfigurationError("url in CONFIG of CHANNEL_LAYERS is that of a Redis: write that of a gateway over it")
    return told


def make_flows(told: LayerSettings) -> tuple[AsyncFlow, Flow]:
    """Return the flows of a layer: those of the project, unless it is told of its own.

    Raises:
        ConfigurationError: what they are told cannot be used.
    """
    url, key, secret = told.url, told.api_key, told.token_secret
    if (url, key, secret) != (None, None, None) or not _is_project():
        return AsyncFlow(url, api_key=key, token_secret=secret), Flow(url, api_key=key, token_secret=secret)
    from messageflow.integrations.django.project_flow import find_project

    project = find_project()
    return project.async_flow, project.flow


def _is_project() -> bool:
    """Whether there is a Django project that has messageflow's application."""
    from django.apps import apps

    return bool(apps.apps_ready and apps.is_installed("messageflow.integrations.django"))


def _refuse(name: str, value: Any, write: str) -> ConfigurationError:
    return ConfigurationError(f"{name} in CONFIG of CHANNEL_LAYERS is {value!r}: write {write}")
