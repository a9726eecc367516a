"""How a setting is declared: kind of value, heading, and the range and meaning that stand in a `msgspec.Meta`.

A field of a struct is a setting where its annotation names a kind: the struct that uses the value declares name, type,
default, meaning, unit and bounds, all in one place, and `gateway.settings` nests the struct.

A kind says how a value written by a person becomes the value that is worked with. It is used three times over, for a
flag or a variable (always text), for a TOML value (already typed) and for the reference page. It says what it expects
in one phrase, which every complaint about a bad value repeats.

Pure. Owns no setting and reads no environment: `gateway.settings_loading` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any

import msgspec

from messageflow.core.credentials import SEPARATOR, credential, credentials
from messageflow.core.durations import SECONDS, parse_duration

_BYTES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"(\d+) ?(|B|KiB|MiB|GiB)")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Section(Enum):
    """A heading of the reference page, in the order of the page.

    In the annotation of a field it stands for this setting and for those that the struct declares after it.
    """

    LISTENING = "Listening"
    ORIGINS = "Who may connect"
    KEYS = "Keys and tokens"
    LIFE = "Life of a connection"
    LIMITS = "Limits"
    HOOKS = "What the application decides"
    STREAMS = "Streams"
    RUNNING = "Running it"


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


def read_text(value: object) -> str:
    """Return text without the white space around it; ValueError where it is none."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return value.strip()


def _secret(value: object) -> str:
    return credential(read_text(value))


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
    word = read_text(value).lower()
    if word not in _WORDS:
        raise ValueError("not yes or no")
    return _WORDS[word]


def list_of(read: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """Return what reads a list, or text with commas, each piece by `read`."""

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


def show_list(items: Sequence[str]) -> str:
    """Write a list as the environment has it."""
    return ",".join(items)


def choice(*words: str) -> Kind:
    """Return the kind of an option that is one of a few words."""

    def read(value: object) -> str:
        word = read_text(value).lower()
        if word not in words:
            raise ValueError("not one of them")
        return word

    return Kind(" or ".join(words), f"one of {', '.join(words)}", read, metavar=f"[{'|'.join(words)}]")


TEXT = Kind("text", "text", read_text)
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
TEXTS = Kind("list of texts", "text, or a list of texts", list_of(read_text), show_list, is_list=True)

SECRET_MARK = "secret"  # in an annotation: no message shows the value

Text = Annotated[str, TEXT]
Texts = Annotated[tuple[str, ...], TEXTS]
Secret = Annotated[str, SECRET, SECRET_MARK]
Secrets = Annotated[tuple[str, ...], SECRETS, SECRET_MARK]
Whole = Annotated[int, WHOLE]
Switch = Annotated[bool, SWITCH]
Duration = Annotated[float, DURATION]
Size = Annotated[int, SIZE]
