"""The reference page of the settings, docs/settings.md, written from their declaration."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, get_args, get_type_hints

import msgspec

from messageflow.core.deltas import DeltaType
from messageflow.core.namespaces import NamespaceOptions, Namespaces
from messageflow.gateway.namespace_tables import ALLOWED_TO, list_verbs, name_option
from messageflow.gateway.settings_loading import OPTIONS, Option

_HEAD = """\
# Settings

<!-- Written by `messageflow settings` out of the structs that use each setting: CONTRIBUTING.md, "A setting"; then run
`make docs`. -->

Every option has one name and can be given in three ways. A flag wins over the environment, that over the file, that
over the default.

| where | `ping_interval` is written |
|---|---|
| flag of `messageflow serve` and `messageflow run` | `--ping-interval 20s` |
| environment | `MESSAGEFLOW_PING_INTERVAL=20s` |
| TOML file, given by `--config` or `MESSAGEFLOW_CONFIG` | `ping_interval = "20s"` |

A duration is a number of seconds or text such as `500ms`, `15s`, `10m`, `1h30m`; a size is a number of bytes or text
such as `64KiB`. A list is a TOML array, a flag given several times, or text with commas in the environment. An empty
variable counts as not set. A name that does not exist is an error, everywhere; only what Kubernetes and Docker tell of
services and containers called `messageflow` is passed over, such as `MESSAGEFLOW_SERVICE_HOST` and
`MESSAGEFLOW_PORT=tcp://…`.

Keep `api_key` and `token_secret` out of flags where others use the machine: `ps` shows flags to everyone.
"""

_CHANNELS = """\
## Channels

What the channels of a namespace keep, tell and allow stands in tables of the TOML file. A namespace has a `name`, and
is all channels that begin with it and a `:`, or a `pattern` of channels: [how they read, and which one
counts](channel-rights.md#for-everybody-in-a-namespace). A channel with a `:` that belongs to none does not exist.

```toml
[channel.without_namespace]         # channels such as `news`
history_size = 100
history_ttl = "10m"

[[channel.namespaces]]              # channels such as `chat:lobby`
name = "chat"
presence = true
join_leave = true
allow = ["subscribe", "history"]    # short for allow_subscribe_for_client, allow_history_for_client

[[channel.namespaces]]              # channels such as `org-7` and `org-7:board`
pattern = "org-*"

[channel.personal]                  # `#user`, where `push` goes
history_ttl = "1h"

[channel.broadcast]                 # `*`, where `broadcast` goes
```
"""


def reference_page(options: Iterable[Option] = OPTIONS) -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    for heading, found in sections(options):
        parts.append(f"## {heading}\n")
        parts.append(_table(_row(option) for option in found))
    parts.append(_CHANNELS)
    parts.append(_table(_namespace_rows()))
    return "\n".join(parts)


def sections(options: Iterable[Option] = OPTIONS) -> list[tuple[str, list[Option]]]:
    """Return the options under their headings, in the order of the page."""
    return [(section.value, list(found)) for section, found in groupby(options, lambda option: option.section)]


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    lines = ["| option | kind | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {default} | {meaning} |" for name, kind, default, meaning in rows]
    return "\n".join(lines) + "\n"


def _row(option: Option) -> tuple[str, str, str, str]:
    default = "`$XDG_DATA_HOME/messageflow`" if option.name == "data_dir" else _code(option.default_text)
    return option.name, option.kind.name, default, option.meaning


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _namespace_rows() -> Iterable[tuple[str, str, str, str]]:
    hints = get_type_hints(NamespaceOptions, include_extras=True)
    base = Namespaces()
    for key, whose in ALLOWED_TO.items():
        verbs = list_verbs(whose)
        options = f"`{name_option(verbs[0], whose)}` and so on"
        yield key, "list", "", f"some of {', '.join(map(_code, verbs))}, in place of {options}"
    for field in msgspec.structs.fields(NamespaceOptions):
        annotated, meta = get_args(hints[field.name])[:2]
        default = _code(_written(field.default))
        others = [
            f"{_code(_written(getattr(options, field.name)))} for {what}"
            for what, options in (("`#user`", base.personal), ("`*`", base.broadcast))
            if getattr(options, field.name) != field.default
        ]
        yield field.name, _kind(annotated), ", ".join([default, *others]), meta.description


def _kind(annotated: Any) -> str:
    names = {int: "whole number", float: "duration", bool: "yes or no", str: "text", tuple[DeltaType, ...]: "list"}
    return names.get(annotated) or " or ".join(map(str, get_args(annotated)))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value))
    return f"{value:g}s" if isinstance(value, float) else str(value)
