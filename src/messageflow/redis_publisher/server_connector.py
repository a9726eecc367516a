"""How to be let in at the servers of one URL: where they are, what a connection says first, and what refusals mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from messageflow.brokers.redis.connections import resp
from messageflow.brokers.redis.connections.resp import NOT_NOW, ErrorReply, Parts
from messageflow.brokers.redis.connections.url import TLS, Address, parse_url
from messageflow.client_io.kernel import Broken, ClientConnection, ClientIO, ServerAddress, connect, translate_errors
from messageflow.client_io.pool import ConnectionPool, Part
from messageflow.client_io.redis_codec import RepliesDecoder

if TYPE_CHECKING:
    import ssl

WRONG_LOGIN = ("WRONGPASS", "NOAUTH")
WRONG_LOGIN_TEXTS = ("ERR invalid password", "ERR AUTH ", "ERR Client sent AUTH")
FULL = "ERR max number of clients"


class NotAccepted(Exception):
    """Redis does not accept the user or the password."""


class ServerConnector:
    """How to be let in at the servers of one URL.

    Args:
        url: of a Redis.

    Attributes:
        kind: "", "+sentinel" or "+cluster".
        addresses: those that the URL names; none for a Unix socket.
        service: what Sentinels are asked for.
        database: the number of it.
        made: how many connections it has made.

    Raises:
        ConfigurationError: it is no URL of a Redis; does not repeat it, for it may hold a password.
    """

    def __init__(self, url: str) -> None:
        found = parse_url(url)
        self._found = found
        self.kind = found.kind
        self.addresses = list(found.addresses)
        self.service = found.service
        self.database = found.database
        self.made = 0

    async def connect(
        self, io: ClientIO, address: Address | None, limit: float, *, sentinel: bool = False
    ) -> ClientConnection:
        """Connect to a server, or to a Sentinel; without an address to the Unix socket.

        Raises:
            Broken: it cannot be reached, or does not let anybody in now.
            NotAccepted: user or password are wrong.
            TimeoutError: at the limit.
        """
        decoder = RepliesDecoder(ErrorReply)
        connection = await connect(io, self._address(address), decoder, limit)
        try:
            await self._introduce(connection, limit, sentinel=sentinel)
        except BaseException:
            connection.close()
            raise
        self.made += 1
        return connection

    def _address(self, address: Address | None) -> ServerAddress:
        if address is None:
            return ServerAddress(path=self._found.path)
        secure = self._found.base == TLS
        return ServerAddress(address.host, address.port, tls=(lambda: self._tls) if secure else None)

    async def _introduce(self, connection: ClientConnection, limit: float, *, sentinel: bool) -> None:
        commands = self._greeting(sentinel=sentinel)
        if not commands:
            return
        with translate_errors():
            await connection.send(pack(commands), limit)
            for _ in commands:
                reply = await connection.receive(limit)
                if isinstance(reply, ErrorReply):
                    raise _judge(reply)

    def _greeting(self, *, sentinel: bool) -> list[Parts]:
        """Return what is said before anything else."""
        login = self._found.login_at(sentinel=sentinel)
        user, password = login.get("username"), login.get("password")
        commands: list[Parts] = []
        if user or password:
            commands.append(("AUTH", user, password or "") if user else ("AUTH", password or ""))
        if name := self._found.options.get("client_name"):
            commands.append(("CLIENT", "SETNAME", name))
        if self.database and not sentinel:
            commands.append(("SELECT", self.database))
        return commands

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import ssl

        options = self._found.options
        context = ssl.create_default_context()
        try:
            if certificate := options.get("ssl_certfile"):
                context.load_cert_chain(certificate, options.get("ssl_keyfile"), options.get("ssl_password"))
            if "ssl_ca_certs" in options or "ssl_ca_path" in options:
                context.load_verify_locations(options.get("ssl_ca_certs"), options.get("ssl_ca_path"))
            if ciphers := options.get("ssl_ciphers"):
                context.set_ciphers(ciphers)
        except OSError as error:
            raise Broken(f"what its URL says of TLS cannot be used ({error})", hopeless=True) from error
        return context


def _judge(refusal: ErrorReply) -> Broken | NotAccepted:
    """Return what it means that somebody is not let in."""
    if refusal.word in WRONG_LOGIN or refusal.text.startswith(WRONG_LOGIN_TEXTS):
        return NotAccepted()
    return Broken(str(refusal), hopeless=refusal.word not in NOT_NOW and not refusal.text.startswith(FULL))


def make_part(pool: ConnectionPool, commands: Sequence[Parts]) -> Part:
    """Return commands to one server, as they go into an exchange."""
    return pool, pack(commands), len(commands)


def pack(commands: Iterable[Parts]) -> bytes:
    """Return commands as they are sent."""
    return b"".join(map(resp.pack, commands))
