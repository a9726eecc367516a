"""Kinds of option: how a value written by a person becomes the value the gateway works with.

A kind is used three times over, for a flag or a variable (always text), for a TOML value (already typed) and for the
reference page. It says what it expects in one phrase, which every complaint about a bad value repeats.

Owns no option and reads no environment: `settings` declares the options, `settings_loading` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from messageflow.core.base_path import parse_base_path
from messageflow.core.credentials import SEPARATOR, credential, credentials
from messageflow.core.durations import SECONDS, parse_duration
from messageflow.gateway.origins import ANY, parse_entry
from messageflow.gateway.proxies import parse_proxy

_BYTES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"(\d+) ?(|B|KiB|MiB|GiB)")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Kind(msgspec.Struct, frozen=True):
    """One kind of value.

    Args:
        name: what the reference page calls it.
        expected: completes the sentence "… must be …".
        read: makes the value out of text or out of a TOML value; raises ValueError when it cannot.
        show: writes a value the way a person would.
        metavar: stands for the value in the help of the command line.
        is_switch: on the command line a pair of flags without a value.
        is_list: may be given more than once on the command line, separated by commas in the environment.
    """

    name: str
    expected: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = str
    metavar: str = "TEXT"
    is_switch: bool = False
    is_list: bool = False


def parse_size(value: object) -> int:
    """Return bytes from a whole number or from text such as `65536`, `64KiB` or `1GiB`.

    Raises:
        ValueError: it is neither, or it is negative.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise ValueError("not a size")
        return int(match[1]) * _BYTES[match[2]]
    return _whole(value)


def parse_origin(value: object) -> str:
    """Return an origin the way browsers write it, or `*` as it is.

    Raises:
        ValueError: it is neither.
    """
    text = _text(value)
    origin = text if text == ANY else parse_entry(text)
    if origin is None:
        raise ValueError("not an origin")
    return origin


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value.strip()


def _secret(value: object) -> str:
    return credential(_text(value))


def _secrets(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return credentials(value)
    found = tuple(filter(None, map(_secret, value))) if isinstance(value, list | tuple) else None
    if found is None or any(SEPARATOR in secret for secret in found):
        raise ValueError("not a list of secrets")
    return found


def _whole(value: object) -> int:
    number = int(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError("not a whole number")
    return number


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in _WORDS:
        raise ValueError("not yes or no")
    return _WORDS[word]


def _pem(value: object) -> str:
    text = _text(value)
    if text.startswith("-----BEGIN "):
        return text
    try:
        return Path(text).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error


def _path(value: object) -> Path:
    try:
        return Path(_text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError("nobody's home") from error


def _list_of(read: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    def read_all(value: object) -> tuple[str, ...]:
        items: Sequence[object] = value.split(",") if isinstance(value, str) else ()
        if isinstance(value, list | tuple):
            items = value
        elif not isinstance(value, str):
            raise ValueError("not a list")
        return tuple(filter(None, map(read, items)))

    return read_all


def _show_duration(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds and seconds % SECONDS[unit] == 0:
            return f"{seconds / SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _show_size(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def _show_list(items: Sequence[str]) -> str:
    return ",".join(items)


def choice(*words: str) -> Kind:
    """Return the kind of an option that is one of a few words."""

    def read(value: object) -> str:
        word = _text(value).lower()
        if word not in words:
            raise ValueError("not one of them")
        return word

    return Kind(" or ".join(words), f"one of {', '.join(words)}", read, metavar=f"[{'|'.join(words)}]")


_REDIS = re.compile(r"(rediss?(\+sentinel|\+cluster)?|unix)://")


def _broker(value: object) -> str:
    text = _text(value)
    if text not in ("embedded", "memory") and not (text and all(map(_REDIS.match, text.split()))):
        raise ValueError("no broker")
    return text


TEXT = Kind("text", "text", _text)
SECRET = Kind("text", "text", _secret)
SECRETS = Kind("list of texts", "text, or a list of texts without commas in them", _secrets, ",".join, is_list=True)
WHOLE = Kind("whole number", "a whole number, 0 or more", _whole, metavar="N")
SWITCH = Kind("yes or no", "true or false", _switch, lambda on: str(on).lower(), is_switch=True)
DURATION = Kind(
    "duration",
    'a duration: seconds such as 15, or "500ms", "15s", "10m", "1h"',
    parse_duration,
    _show_duration,
    metavar="DURATION",
)
SIZE = Kind("size", 'a size: bytes such as 65536, or "64KiB", "1MiB", "1GiB"', parse_size, _show_size, metavar="SIZE")
PATH = Kind("path", "a path, after `~` only what is somebody's home", _path, metavar="PATH")
TEXTS = Kind("list of texts", "text, or a list of texts", _list_of(_text), _show_list, is_list=True)
PROXIES = Kind(
    "list of addresses and networks",
    'a list of addresses and networks such as "10.0.0.7", "10.0.0.0/8" or "fd00::/8", no names; or "unix"',
    _list_of(lambda value: parse_proxy(_text(value)) if _text(value) else ""),
    _show_list,
    metavar="ADDRESS|NETWORK",
    is_list=True,
)
ORIGINS = Kind(
    "list of origins",
    'a list of origins such as "https://app.example.com" or "http://localhost:3000", without a path; '
    '"https://*.example.com" for every name below; or "*" for all',
    _list_of(parse_origin),
    _show_list,
    metavar="ORIGIN",
    is_list=True,
)
BASE_PATH = Kind(
    "path of a URL",
    'a path of letters, digits and -._~ such as "/messageflow/", of one segment at least',
    lambda value: parse_base_path(_text(value)),
    metavar="PATH",
)
BROKER = Kind(
    "broker",
    'embedded, memory, or the URL of a Redis or Valkey such as "redis://localhost:6379"; of shards apart by spaces; '
    "what is special in a password is percent-encoded",
    _broker,
    metavar="embedded|memory|URL",
)
PUBLIC_KEYS = Kind(
    "list of PEM public keys",
    "PEM public keys, or paths of files that hold one",
    _list_of(_pem),
    _show_list,
    metavar="PEM|PATH",
    is_list=True,
)
