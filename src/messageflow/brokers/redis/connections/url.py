"""What the URL of a Redis says: read here and not by the library, which overlooks what it does not understand.

Pure. No message has any part of a URL in it: where a password has a character in it that means something in a URL, any
part may be of the password.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from messageflow.core.broker_kinds import REDIS_SCHEMES
from messageflow.errors import ConfigurationError

PLAIN, TLS, UNIX = "redis", "rediss", "unix"
SENTINEL, CLUSTER = "+sentinel", "+cluster"
SENTINEL_PORT, REDIS_PORT, LAST_PORT = 26379, 6379, 65535
LOCAL = "localhost"
LOGIN = ("username", "password")
OF_SENTINEL = tuple(f"sentinel_{name}" for name in LOGIN)
OF_TLS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_ciphers")
OPTIONS = ("client_name",)
ALWAYS_CHECKED = ("ssl_cert_reqs", "ssl_check_hostname")
LONGEST_DATABASE = 6  # digits; a server has 16, unless it is told otherwise

FORMS = (
    "write redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path?db=database, "
    "redis+sentinel://host:port,host:port/service[/database] or redis+cluster://host:port,host:port, "
    "and percent-encode what is special in a password (@ : / ? # % as %40 %3A %2F %3F %23 %25)"
)


class Address(NamedTuple):
    """Of one server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RedisUrl(NamedTuple):
    """Where a Redis is, and how to be let in.

    Args:
        base: `redis`, `rediss` or `unix`.
        kind: "", "+sentinel" or "+cluster".
        addresses: of the servers, or of the Sentinels; none for a Unix socket.
        path: of the Unix socket.
        service: what Sentinels are asked for.
        database: the number of it.
        login: user and password, as far as they are given.
        sentinel_login: the same for Sentinels.
        options: others, by the names that the library has for them.
    """

    base: str
    kind: str
    addresses: tuple[Address, ...]
    path: str
    service: str
    database: int
    login: dict[str, str]
    sentinel_login: dict[str, str]
    options: dict[str, str]

    @property
    def where(self) -> str:
        """What to call it in messages."""
        return self.service or ",".join(map(str, self.addresses)) or self.path

    def login_at(self, *, sentinel: bool) -> dict[str, str | None]:
        """Return user and password, None where none is given: at a Sentinel its own, never those of the servers."""
        login = self.sentinel_login if sentinel else self.login
        return {name: login.get(name) for name in LOGIN}


class _Invalid(Exception):
    """What is wrong with a URL; has no part of it."""


def parse_url(url: str) -> RedisUrl:
    """Return what a URL says.

    Raises:
        ConfigurationError: it is no URL of a Redis. The message has no part of it, for any part may be of a password.
    """
    try:
        return _parse(url)
    except _Invalid as error:
        problem = str(error)
    except ValueError:  # its text has parts of the URL
        problem = "it cannot be understood"
    raise ConfigurationError(f"the broker's URL cannot be used: {problem}; {FORMS}")


def _parse(url: str) -> RedisUrl:
    parts = urlsplit(url)
    if parts.scheme not in REDIS_SCHEMES:
        raise _Invalid("it does not begin with the scheme of a Redis")
    if "#" in url or "@" in parts.path + parts.query:
        raise _Invalid("it has a # in it, or an @ after the host, as it has when a password is not percent-encoded")
    base, plus, kind = parts.scheme.partition("+")
    login, _, hosts = parts.netloc.rpartition("@")
    given = _read_options(parts.query)
    options = {name: given.pop(name) for name in OPTIONS + (OF_TLS if base == TLS else ()) if name in given}
    sentinel_login = {name.removeprefix("sentinel_"): given.pop(name) for name in OF_SENTINEL if name in given}
    if sentinel_login and kind != "sentinel":
        raise _Invalid("it has a user or a password of Sentinels and names none")
    service, database = _read_path(parts, kind, given.pop("db", None))
    found = RedisUrl(
        base,
        plus + kind,
        _read_addresses(base, kind, hosts),
        unquote(parts.path) if base == UNIX else "",
        service,
        database,
        _read_login(login, given),
        sentinel_login,
        options,
    )
    if given:
        raise _Invalid(_explain_unknown(given, base))
    if len(found.addresses) > 1 and not kind:
        raise _Invalid("it names several hosts, which only Sentinels and a Cluster have; shards are URLs of their own")
    if base == UNIX and (not found.path.strip("/") or hosts):
        raise _Invalid("it names no path of a socket")
    return found


def _read_options(query: str) -> dict[str, str]:
    found = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    if len({name for name, _ in found}) < len(found):
        raise _Invalid("it has an option twice")
    if not all(value for _, value in found):
        raise _Invalid("it has an option without a value")
    return dict(found)


def _explain_unknown(given: dict[str, str], base: str) -> str:
    """Return what is wrong with options; only names that we know are repeated."""
    for name in ALWAYS_CHECKED:
        if name in given:
            return f"{name} cannot be set: certificates and hosts are always checked; ssl_ca_certs names an authority"
    for name in OF_TLS:
        if name in given:
            return f"{name} belongs to TLS: write {TLS}://"
    known = ("db", *LOGIN, *OF_SENTINEL, *OPTIONS, *(OF_TLS if base == TLS else ()))
    return f"it has an option that is not known here; known are {', '.join(known)}"


def _read_login(text: str, given: dict[str, str]) -> dict[str, str]:
    """Return user and password, which may stand before the host or among the options."""
    user, _, password = text.partition(":")
    before = {name: unquote(value) for name, value in zip(LOGIN, (user, password), strict=True) if value}
    after = {name: given.pop(name) for name in LOGIN if name in given}
    if before.keys() & after.keys():
        raise _Invalid("it has a user or a password twice")
    return before | after


def _read_path(parts: SplitResult, kind: str, option: str | None) -> tuple[str, int]:
    """Return the service and the database."""
    path = "" if parts.scheme == UNIX else parts.path.strip("/")
    service = ""
    if kind == "sentinel":
        service, _, path = path.partition("/")
        if not service:
            raise _Invalid("it names no service that Sentinel watches")
    if path and option is not None:
        raise _Invalid("it names the database twice")
    text = option if option is not None else path or "0"
    if not (text.isascii() and text.isdigit()) or len(text) > LONGEST_DATABASE:
        raise _Invalid("the database in it is no number, as the first one is 0")
    if int(text) and kind == "cluster":
        raise _Invalid("a Cluster has no databases: leave it out, and give each gateway a broker_prefix of its own")
    return unquote(service), int(text)


def _read_addresses(base: str, kind: str, hosts: str) -> tuple[Address, ...]:
    if base == UNIX:
        return ()
    if not hosts and not kind:
        return (Address(LOCAL, REDIS_PORT),)
    port = SENTINEL_PORT if kind == "sentinel" else REDIS_PORT
    return tuple(_read_address(text, port) for text in hosts.split(","))


def _read_address(text: str, port: int) -> Address:
    if text.startswith("["):  # IPv6
        host, _, rest = text[1:].partition("]")
        separator, given = rest[:1], rest[1:]
    else:
        host, separator, given = text.partition(":")
        host = unquote(host)
    if not host or separator not in ("", ":"):
        raise _Invalid("it names no host")
    host.encode("idna")  # raises ValueError where no name of a host can be so
    if separator and not (given.isascii() and given.isdigit() and 0 < int(given[:6]) <= LAST_PORT):
        raise _Invalid("the port in it is no number from 1 to 65535")
    return Address(host, int(given) if separator else port)
