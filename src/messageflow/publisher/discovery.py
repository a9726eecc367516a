"""Where the gateway is and which keys it knows: argument, then environment, then the file of a development gateway.

Instead of a gateway it may be the Redis that gateways share.

Owns the development file `dev.json`: what `messageflow serve --dev` and `run` leave for other programs of the same
person. Owns no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from messageflow.core.base_path import BASE_PATH, parse_base_path
from messageflow.core.credentials import credential, signing_secret
from messageflow.errors import ConfigurationError
from messageflow.publisher.direct import Redis, is_redis, redis_at
from messageflow.publisher.http1 import Endpoint, parse_url

DEFAULT_URL = "http://127.0.0.1:8000"
DEV_FILE = "dev.json"


class DevFile(msgspec.Struct, frozen=True):
    """What a development gateway leaves behind; empty where it was told a value instead of making one."""

    url: str = ""
    api_key: str = ""
    token_secret: str = ""
    base_path: str = ""

    def __repr__(self) -> str:
        return f"DevFile(url={self.url!r})"


class Place(NamedTuple):
    """A gateway and what it takes to be let in, or a Redis. Its `repr` tells no secret."""

    endpoint: Endpoint | Redis
    api_key: str
    token_secret: str

    def __repr__(self) -> str:
        return f"Place({self.endpoint.url})"


def data_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the directory of messageflow's own files, as MESSAGEFLOW_DATA_DIR or the XDG directories have it.

    None where that is not known, since this user has no home: then there is no development gateway of theirs.
    """
    environ = os.environ if environ is None else environ
    try:
        if own := environ.get("MESSAGEFLOW_DATA_DIR"):
            return Path(own).expanduser()
        if base := environ.get("XDG_DATA_HOME"):
            return Path(base) / "messageflow"
        return Path(environ.get("HOME") or Path.home()) / ".local" / "share" / "messageflow"
    except RuntimeError:
        return None


def load_dev_file(directory: Path | None = None) -> DevFile | None:
    """Return what a development gateway of this person left in `directory`, or None.

    Raises:
        ConfigurationError: the file is there and cannot be understood.
    """
    directory = directory or data_dir()
    if directory is None:
        return None
    path = directory / DEV_FILE
    try:
        content = path.read_bytes()
    except OSError:  # not there, or not ours to read: there is no development gateway for us
        return None
    try:
        return msgspec.json.decode(content, type=DevFile)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"{path} cannot be understood ({error}): remove it, and `messageflow serve --dev` makes a new one"
        ) from error


def write_dev_file(
    url: str, api_key: str, token_secret: str, directory: Path | None = None, *, base_path: str = ""
) -> Path:
    """Leave the address and keys of a development gateway for other programs of the same person.

    The file is readable by its owner alone and is there whole or not at all.

    Returns:
        Its path.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    directory = directory or data_dir()
    if directory is None:
        raise ConfigurationError(
            f"{DEV_FILE} has no place, for this user has no home: set MESSAGEFLOW_DATA_DIR to a directory of your own"
        )
    path = directory / DEV_FILE
    draft = directory / f".{DEV_FILE}.{os.getpid()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(DevFile(url, api_key, token_secret, base_path)))
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}): set MESSAGEFLOW_DATA_DIR to a directory of your own"
        ) from error
    return path


def find(
    url: str | None,
    api_key: str | None,
    token_secret: str | None,
    environ: Mapping[str, str] | None = None,
    *,
    prefix: str | None = None,
) -> Place:
    """Return the gateway to use: each value from the argument, else the environment, else the development file.

    Of several token secrets in the environment, which is how they are rotated, the first one signs.

    Raises:
        ConfigurationError: the URL, or a file that had to be read, is malformed.
    """
    environ = os.environ if environ is None else environ
    url = url or environ.get("MESSAGEFLOW_URL", "").strip()
    api_key = api_key or environ.get("MESSAGEFLOW_API_KEY", "")
    token_secret = credential(token_secret or "") or signing_secret(environ.get("MESSAGEFLOW_TOKEN_SECRET", ""))
    base_path = environ.get("MESSAGEFLOW_BASE_PATH", "")
    if not (url and api_key and token_secret):
        directory = data_dir(environ)
        left = (load_dev_file(directory) if directory else None) or DevFile()
        base_path = base_path or ("" if url else left.base_path)
        url, api_key, token_secret = (
            url or left.url,
            api_key or left.api_key,
            token_secret or credential(left.token_secret),
        )
    environ = {**environ, "MESSAGEFLOW_BASE_PATH": base_path}
    return Place(endpoint(url or DEFAULT_URL, prefix, environ), credential(api_key), token_secret)


def endpoint(url: str, prefix: str | None, environ: Mapping[str, str] | None = None) -> Endpoint | Redis:
    """Return what is at an address; in a Redis the names begin with `prefix`, else with MESSAGEFLOW_BROKER_PREFIX.

    Raises:
        ConfigurationError: it cannot be used.
    """
    environ = os.environ if environ is None else environ
    if not is_redis(url):
        return parse_url(url, _base_path(environ))
    return redis_at(url, prefix or environ.get("MESSAGEFLOW_BROKER_PREFIX", "").strip())


def _base_path(environ: Mapping[str, str]) -> str:
    text = environ.get("MESSAGEFLOW_BASE_PATH", "").strip()
    try:
        return parse_base_path(text) if text else BASE_PATH
    except ValueError:
        raise ConfigurationError(
            f"MESSAGEFLOW_BASE_PATH is {text!r}: write the gateway's base_path, such as /messageflow/"
        ) from None
