"""Where the gateway is and which keys it knows: argument, then environment, then the file of a development gateway.

Instead of a gateway it may be the Redis that gateways share.

Owns the development file `dev.json`: what `messageflow serve --dev` and `run` leave for other programs of the same
project, as `projects` tells them. Owns no connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from messageflow.client_io.http1 import Endpoint, parse_url
from messageflow.core.credentials import credential, credentials, signing_secret
from messageflow.core.gateway_paths import BASE_PATH, parse_base_path
from messageflow.errors import ConfigurationError
from messageflow.publisher.projects import STATE, find_data_dir, find_state_dir, locate_state_dir, name_own_project
from messageflow.publisher.redis_target import RedisTarget, is_redis, make_redis_target

__all__ = [
    "DevFile",
    "Place",
    "find",
    "find_data_dir",
    "find_endpoint",
    "find_hooks_secrets",
    "load_dev_file",
    "write_dev_file",
]

DEFAULT_URL = "http://127.0.0.1:8000"
DEV_FILE = STATE
MOST_PROJECTS = 200  # that are looked at to tell where a gateway runs


class DevFile(msgspec.Struct, frozen=True):
    """What a development gateway leaves behind; empty where it was told a value instead of making one.

    Its address is there for as long as it runs; its keys stay, so that pages reconnect to the next.
    """

    url: str = ""
    api_key: str = ""
    token_secret: str = ""
    base_path: str = ""
    project: str = ""  # for people, who may be looking for it in another directory
    port: int = 0  # it had when nobody asked for one: the next has it too, so that pages find it
    hooks_secret: str = ""

    def __repr__(self) -> str:
        return f"DevFile(url={self.url!r})"


class Place(NamedTuple):
    """A gateway and what it takes to be let in, or a Redis. Its `repr` tells no secret.

    Args:
        endpoint: where it is.
        api_key: for its API.
        token_secret: signs tokens.
        found: whether it is the development gateway that happens to run, and nobody has named it.
        own_key: whether the API key is the one that was made for that gateway.
        absent: why there is none, where nobody has named one and none runs; the endpoint then is the usual one.
    """

    endpoint: Endpoint | RedisTarget
    api_key: str
    token_secret: str
    found: bool = False
    own_key: bool = False
    absent: str = ""

    def __repr__(self) -> str:
        return f"Place({self.endpoint.url})"


def load_dev_file(directory: Path | None = None) -> DevFile | None:
    """Return what a development gateway left in `directory`, else for the project of this program, or None.

    Raises:
        ConfigurationError: the file is there and cannot be understood.
    """
    directory = directory or find_state_dir()
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
    url: str,
    api_key: str,
    token_secret: str,
    directory: Path | None = None,
    *,
    base_path: str = "",
    port: int = 0,
    hooks_secret: str = "",
) -> Path:
    """Leave the address and keys of a development gateway for other programs of the same project.

    The file is readable by its owner alone and is there whole or not at all.

    Returns:
        Its path.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    directory = directory or locate_state_dir()
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
            left = DevFile(url, api_key, token_secret, base_path, name_own_project(), port, hooks_secret)
            file.write(msgspec.json.encode(left))
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
    base_path: str | None = None,
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
    base_path = base_path or environ.get("MESSAGEFLOW_BASE_PATH", "")
    if not (url and api_key and token_secret):
        directory = find_state_dir(environ)
        kept = load_dev_file(directory) if directory else None
        left = kept or DevFile()
        base_path = base_path or ("" if url else left.base_path)
        place = Place(
            find_endpoint(url or left.url or DEFAULT_URL, prefix, environ, base_path=base_path),
            credential(api_key or left.api_key),
            token_secret or credential(left.token_secret),
            found=not url and bool(left.url),
            own_key=not api_key and bool(left.api_key),
        )
        if url or left.url or api_key not in ("", left.api_key):
            return place
        return place._replace(absent=_explain_absence(kept is not None, environ))
    return Place(find_endpoint(url, prefix, environ, base_path=base_path), credential(api_key), token_secret)


def find_hooks_secrets(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return what webhooks are signed with: of the environment, else of the development file; several are rotated.

    Raises:
        ConfigurationError: a file that had to be read is malformed.
    """
    environ = os.environ if environ is None else environ
    if told := credentials(environ.get("MESSAGEFLOW_HOOKS_SECRET", "")):
        return told
    directory = find_state_dir(environ)
    kept = load_dev_file(directory) if directory else None
    return credentials(kept.hooks_secret) if kept else ()


def _explain_absence(begun_once: bool, environ: Mapping[str, str]) -> str:
    project = name_own_project() or "this directory, which is gone"
    advice = (
        "start `messageflow serve --dev` there, or set MESSAGEFLOW_URL and MESSAGEFLOW_API_KEY to those of another "
        "gateway; nothing was stored"
    )
    if begun_once:
        return f"the development gateway of {project} has ended, or not begun yet: {advice}"
    others = ", ".join(f"{each.project} ({each.url})" for each in list_running_elsewhere(environ))
    elsewhere = f". There is one of {others}, for programs in there" if others else ""
    return f"there is no development gateway of {project}: {advice}{elsewhere}"


def list_running_elsewhere(environ: Mapping[str, str] | None = None) -> list[DevFile]:
    """Return what the development gateways of other projects have left that are running, or were when they died."""
    base = find_data_dir(environ)
    if base is None:
        return []
    found = []
    for path in islice(base.glob(f"projects/*/{DEV_FILE}"), MOST_PROJECTS):
        try:
            left = load_dev_file(path.parent)
        except ConfigurationError:
            continue
        if left is not None and left.url and left.project:
            found.append(left)
    return found


def find_endpoint(
    url: str, prefix: str | None, environ: Mapping[str, str] | None = None, *, base_path: str | None = None
) -> Endpoint | RedisTarget:
    """Return what is at an address; in a Redis the names begin with `prefix`, else with MESSAGEFLOW_BROKER_PREFIX.

    A gateway's own paths begin with `base_path`, else with MESSAGEFLOW_BASE_PATH, below the path of the URL.

    Raises:
        ConfigurationError: it cannot be used.
    """
    environ = os.environ if environ is None else environ
    if not is_redis(url):
        return parse_url(url, _read_base_path(base_path or environ.get("MESSAGEFLOW_BASE_PATH", "")))
    return make_redis_target(url, prefix or environ.get("MESSAGEFLOW_BROKER_PREFIX", "").strip())


def _read_base_path(text: str) -> str:
    try:
        return parse_base_path(text) if text.strip() else BASE_PATH
    except ValueError:
        raise ConfigurationError(
            f"base_path (argument, or MESSAGEFLOW_BASE_PATH) is {text.strip()!r}: write what the gateway's setting "
            "of this name has, such as /messageflow/"
        ) from None
