"""The file in which a development gateway leaves its address and keys for the same person's other commands.

`Flow()` and `messageflow push` find them there. Keys are kept from one start to the next, so that a page reconnects
after a restart with the token it has. Only the owner can read the file.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from messageflow.cli.secret import fresh_secret
from messageflow.errors import ConfigurationError

NAME = "dev.json"


class DevKeys(msgspec.Struct, frozen=True):
    """What the file holds. A key that was configured elsewhere is empty here: it is not copied to disk."""

    url: str = ""
    api_key: str = ""
    token_secret: str = ""


def load(directory: Path) -> DevKeys:
    """Return the keys left there, fresh ones in place of what is missing or unreadable."""
    try:
        kept = msgspec.json.decode((directory / NAME).read_bytes(), type=DevKeys)
    except (OSError, msgspec.DecodeError):
        kept = DevKeys()
    return DevKeys(kept.url, kept.api_key or fresh_secret(), kept.token_secret or fresh_secret())


def save(directory: Path, keys: DevKeys) -> Path:
    """Write the file, whole or not at all, and return its path.

    Raises:
        ConfigurationError: the directory cannot be written to.
    """
    path = directory / NAME
    draft = directory / f".{NAME}.{os.getpid()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(msgspec.json.encode(keys))
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"the development keys cannot be kept in {path}: {error.strerror}; "
            "set MESSAGEFLOW_DATA_DIR to a directory of your own"
        ) from error
    return path
