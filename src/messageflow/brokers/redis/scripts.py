"""The Lua scripts of this backend, by the name that Redis has for them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script, the digest under which Redis keeps it, and whether it announces what it stores."""

    text: str
    digest: str
    announces: bool


def _load(name: str, *, announces: bool = False) -> Script:
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), announces)


PUBLISH, READ, FORGET = _load("publish", announces=True), _load("read"), _load("forget")
ENTER, EXIT, RENEW, AGE = _load("enter"), _load("exit"), _load("renew"), _load("age")
ALL = (PUBLISH, READ, FORGET, ENTER, EXIT, RENEW, AGE)
