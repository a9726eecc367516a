"""Kinds of setting that only a gateway has: origins, proxies, paths and keys in files.

The kinds that other rooms declare settings with, and what a kind is: `core.setting_kinds`. Owns no setting and reads no
environment: `settings` and what it nests declare them, `settings_loading` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from messageflow.core.gateway_paths import parse_base_path
from messageflow.core.handshake_headers import is_header_name
from messageflow.core.setting_kinds import SECRET_MARK, Kind, list_of, read_text, show_list
from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.gateway.origins import ANY, parse_entry
from messageflow.gateway.proxies import parse_proxy
from messageflow.gateway.webhook_url import parse_webhook_url


def parse_origin(value: object) -> str:
    """Return an origin the way browsers write it, or `*` as it is.

    Raises:
        ValueError: it is neither.
    """
    text = read_text(value)
    origin = text if text == ANY else parse_entry(text)
    if origin is None:
        raise ValueError("not an origin")
    return origin


def _pem(value: object) -> str:
    text = read_text(value)
    if text.startswith("-----BEGIN "):
        return text
    try:
        return Path(text).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{text} cannot be read: {error}") from error


def _path(value: object) -> Path:
    try:
        return Path(read_text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError("nobody's home") from error


def _header_name(value: object) -> str:
    name = read_text(value).lower()
    if name and not is_header_name(name):
        raise ValueError("no name of a header")
    return name


def _webhook_url(value: object) -> str:
    text = read_text(value)
    if text:
        parse_webhook_url(text)
    return text


PATH = Kind("path", "a path, after `~` only what is somebody's home", _path, metavar="PATH")
PROXIES = Kind(
    "list of addresses and networks",
    'a list of addresses and networks such as "10.0.0.7", "10.0.0.0/8" or "fd00::/8", no names; or "unix"',
    list_of(lambda value: parse_proxy(read_text(value)) if read_text(value) else ""),
    show_list,
    metavar="ADDRESS|NETWORK",
    is_list=True,
)
ORIGINS = Kind(
    "list of origins",
    'a list of origins such as "https://app.example.com" or "http://localhost:3000", without a path; '
    '"https://*.example.com" for every name below; or "*" for all',
    list_of(parse_origin),
    show_list,
    metavar="ORIGIN",
    is_list=True,
)
BASE_PATH = Kind(
    "path of a URL",
    'a path of letters, digits and -._~ such as "/messageflow/", of one segment at least',
    lambda value: parse_base_path(read_text(value)),
    metavar="PATH",
)
HEADERS = Kind(
    "list of names",
    'a list of names of headers such as "cookie" or "x-request-id"',
    list_of(_header_name),
    show_list,
    metavar="NAME",
    is_list=True,
)
WEBHOOK_URL = Kind(
    "URL",
    'an http or https URL with a path, such as "https://app.example.com/messageflow/hooks", without a password',
    _webhook_url,
    metavar="URL",
)
ZEROMQ = Kind(
    "list of addresses of ZeroMQ",
    'a list of addresses such as "ipc:///run/app/bus" or "tcp://127.0.0.1:64002", behind "pub+" where PUB sockets '
    "connect",
    list_of(lambda value: str(parse_zeromq_address(read_text(value))) if read_text(value) else ""),
    show_list,
    metavar="ADDRESS",
    is_list=True,
)
PUBLIC_KEYS = Kind(
    "list of PEM public keys",
    "PEM public keys, or paths of files that hold one",
    list_of(_pem),
    show_list,
    metavar="PEM|PATH",
    is_list=True,
)

FilePath = Annotated[Path | None, PATH]
Networks = Annotated[tuple[str, ...], PROXIES]
AllowedOrigins = Annotated[tuple[str, ...], ORIGINS]
BasePath = Annotated[str, BASE_PATH]
HeaderNames = Annotated[tuple[str, ...], HEADERS]
WebhookUrl = Annotated[str, WEBHOOK_URL]
ZeromqAddresses = Annotated[tuple[str, ...], ZEROMQ]
PublicKeys = Annotated[tuple[str, ...], PUBLIC_KEYS, SECRET_MARK]  # what was meant as another may be one
