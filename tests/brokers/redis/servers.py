"""Arrangements of real Redis servers for tests: a primary with Sentinel, a cluster.

Each on free ports, ended by its processes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.crc import key_slot

from tests.brokers.redis.certificates import Pair
from tests.brokers.redis.processes import SECONDS, Server, wait_until
from tests.ports import free_port

__all__ = ["SECONDS", "Cluster", "Server", "Trio", "cut_replication", "has_caught_up", "wait_until"]

SLOTS = 16_384


def has_caught_up(primary: Server) -> bool:
    """Whether its one replica has all of it."""
    found = primary.info("replication")
    return bool(found["slave0"]["offset"] == found["master_repl_offset"])


def cut_replication(primary: Server, replica: Server) -> None:
    """Let a replica hear nothing any more: it is cut off, and shows a password that its primary does not know."""
    with replica.client() as client:
        client.config_set("masterauth", "wrong")
    with primary.client() as client:
        client.config_set("requirepass", "")
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")  # which redis-py 8.0 has no name for


class Trio:
    """A primary, its replica, and a Sentinel that watches them.

    Args:
        directory: for the files of all; there already.
        password: of the default user of Redis, if it needs one.
        sentinel_password: the same of Sentinel.
        certificate: to speak TLS with, to clients and to each other.
    """

    def __init__(
        self, directory: Path, *, password: str = "", sentinel_password: str = "", certificate: Pair | None = None
    ) -> None:
        self.servers: list[Server] = []
        self._certificate = certificate
        own = ("--repl-diskless-sync-delay", "0", *(("--masterauth", password) if password else ()))
        if certificate is not None:
            own += ("--tls-replication", "yes")
        self.primary = self._server(directory / "primary", *own, password=password)
        following = ("--replicaof", "127.0.0.1", str(self.primary.port))
        self.replica = self._server(directory / "replica", *own, *following, password=password)
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor streams 127.0.0.1 {self.primary.port} 1\n"
            "sentinel down-after-milliseconds streams 500\nsentinel failover-timeout streams 3000\n"
            + (f"sentinel auth-pass streams {password}\n" if password else "")
            + ("tls-replication yes\n" if certificate else "")
        )
        self.sentinel = self._server(directory / "sentinel", configuration=configuration, password=sentinel_password)
        options = [f"sentinel_password={sentinel_password}"] if sentinel_password else []
        options += [f"ssl_ca_certs={certificate.authority}"] if certificate else []
        self.url = (
            f"{'rediss' if certificate else 'redis'}+sentinel://{f':{password}@' if password else ''}"
            f"127.0.0.1:{self.sentinel.port}/streams{'?' if options else ''}{'&'.join(options)}"
        )
        wait_until(lambda: self.replica.info("replication").get("master_link_status") == "up")
        wait_until(lambda: int(self._watched()["num-slaves"]) == 1)

    def _server(
        self, directory: Path, *arguments: str, configuration: Path | None = None, password: str = ""
    ) -> Server:
        directory.mkdir()
        server = Server(
            directory, *arguments, configuration=configuration, password=password, certificate=self._certificate
        )
        self.servers.append(server)
        return server

    def _watched(self) -> dict[str, str]:
        with self.sentinel.client() as client:
            return dict(client.sentinel_master("streams"))

    async def until_replicated(self, log: str, length: int) -> None:
        """Return once the replica has so much of a stream."""
        with self.replica.client() as client:
            await asyncio.to_thread(wait_until, lambda: client.xlen(log) == length)

    def failover(self) -> None:
        """Let the replica take the place of its living primary; return once it has, and Sentinel says so."""
        with self.sentinel.client() as client:  # which refuses until it has seen that the replica will do
            wait_until(lambda: client.execute_command("SENTINEL", "FAILOVER", "streams"))
        wait_until(lambda: int(self._watched()["port"]) == self.replica.port)
        wait_until(lambda: self.primary.info("replication")["role"] == "slave")

    def cut_replication(self) -> None:
        """Let the replica hear nothing any more, and be the primary's replica still in Sentinel's eyes."""
        cut_replication(self.primary, self.replica)
        with self.primary.client() as client:
            client.config_set("repl-diskless-sync-delay", "1000")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


class Cluster:
    """Three primaries, each with a replica where it is asked for, that share the slots.

    Calls block, up to some seconds; from a test that has an event loop to run, call them in a thread.

    Args:
        directory: for the files of all; there already.
        arguments: settings of each server, as on the command line.
        replicas: whether each primary has one.
        certificate: to speak TLS with, to clients and to each other.
        executable: what to run; empty takes `redis-server`.

    Attributes:
        servers: all of them, dead ones too; as started, primaries first and then their replicas in the same order.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        replicas: bool = False,
        certificate: Pair | None = None,
        executable: str = "",
    ) -> None:
        self._executable = executable
        self._certificate = certificate
        self.servers: list[Server] = []
        for number in range(6 if replicas else 3):
            home = directory / f"node-{number}"
            home.mkdir()
            self.servers.append(self._server(home, *arguments))
        self._ids = {server: str(self._ask(server, "MYID")) for server in self.servers}
        first, *others = self.servers
        for other in others:
            self._ask(first, "MEET", "127.0.0.1", str(other.port))
        primaries = self.servers[:3]
        for number, primary in enumerate(primaries):
            slots = range(number * SLOTS // 3, (number + 1) * SLOTS // 3)
            self._ask(primary, "ADDSLOTS", *map(str, slots))  # a range is not known to Redis 6.2
        for primary, replica in zip(primaries, self.servers[3:], strict=False):
            self._replicate(replica, primary)
        wait_until(self.is_well)

    def _server(self, home: Path, *arguments: str) -> Server:
        return Server(
            home,
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"),
            *("--repl-diskless-sync-delay", "0", *arguments),
            *(("--tls-cluster", "yes", "--tls-replication", "yes") if self._certificate else ()),
            port=free_port(bus=True),
            certificate=self._certificate,
            executable=self._executable,
        )

    def _replicate(self, replica: Server, primary: Server) -> None:
        """Refused until the one has heard of the other."""
        wait_until(lambda: self._ask(replica, "REPLICATE", self._ids[primary]) == "OK")

    @staticmethod
    def _ask(server: Server, *command: str) -> str:
        with server.client() as client:
            reply = client.execute_command("CLUSTER", *command)
        return reply.decode() if isinstance(reply, bytes) else str(reply)

    # What is so

    @property
    def url(self) -> str:
        """Of the first that lives; the others are found through it."""
        return self.living[0].url

    @property
    def urls(self) -> list[str]:
        """Of each that was started."""
        return [server.url for server in self.servers]

    @property
    def living(self) -> list[Server]:
        return [server for server in self.servers if server.process.poll() is None]

    @property
    def primaries(self) -> list[Server]:
        """Those that live and call themselves so."""
        return [server for server in self.living if server.info("replication")["role"] == "master"]

    def holder(self, key: str | bytes) -> Server:
        """Return the primary whose slots a key falls into."""
        return self._holder(key_slot(key if isinstance(key, bytes) else key.encode()))

    def _holder(self, slot: int) -> Server:
        with self.living[0].client() as client:
            for start, end, primary, *_ in client.execute_command("CLUSTER", "SLOTS"):
                if start <= slot <= end:
                    return next(server for server in self.servers if server.port == primary[1])
        raise AssertionError(f"nobody has slot {slot}")

    def replica_of(self, primary: Server) -> Server:
        """Return the living replica of a primary."""
        for server in self.living:
            found = server.info("replication")
            if found["role"] == "slave" and found["master_port"] == primary.port:
                return server
        raise AssertionError("it has no replica")

    def is_well(self) -> bool:
        """Whether all that live know of all, see every slot served, and are replicated."""
        for server in self.living:
            known = dict(line.split(":", 1) for line in self._ask(server, "INFO").split())
            if (known["cluster_state"], known["cluster_known_nodes"]) != ("ok", str(len(self.servers))):
                return False
            if server.info("replication").get("master_link_status", "up") != "up":
                return False
        return True

    # What is done to it

    def flush(self) -> None:
        """Drop all keys."""
        for primary in self.primaries:
            with primary.client() as client:
                client.flushall()

    def begin_move(self, slot: int, to: Server) -> Server:
        """Begin to move a slot; until it has ended, the old holder sends on who asks for a key it has not."""
        old = self._holder(slot)
        self._ask(to, "SETSLOT", str(slot), "IMPORTING", self._ids[old])
        self._ask(old, "SETSLOT", str(slot), "MIGRATING", self._ids[to])
        return old

    def end_move(self, slot: int, old: Server, to: Server) -> None:
        """Move all keys of a slot, and then the slot."""
        with old.client() as client:
            while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                client.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for server in (to, old, *(each for each in self.primaries if each not in (to, old))):
            self._ask(server, "SETSLOT", str(slot), "NODE", self._ids[to])

    def move_slot(self, slot: int, to: Server) -> None:
        """Give a slot and all its keys to another primary."""
        self.end_move(slot, self.begin_move(slot, to), to)

    def kill(self, primary: Server) -> None:
        """End a primary as a crash would; its replica, if it has one, is elected in a second or two."""
        primary.stop()

    def failover(self, replica: Server) -> None:
        """Let a replica take over from its living primary, which loses nothing; return when all know."""
        self._ask(replica, "FAILOVER")
        wait_until(lambda: all(self._is_primary(replica, each) for each in self.living) and self.is_well())

    def take_over(self, replica: Server) -> None:
        """Let a replica take over without a word to its primary, whatever it lacks; return when all know."""

        def has_taken_over() -> bool:
            if not self._is_primary(replica, replica):  # not yet, or not any more, where others had a newer epoch
                self._ask(replica, "FAILOVER", "TAKEOVER")
            return all(self._is_primary(replica, each) for each in self.living)

        wait_until(has_taken_over, 2 * SECONDS)

    def _is_primary(self, server: Server, asked: Server) -> bool:
        """Whether one has slots, in the eyes of another."""
        lines = self._ask(asked, "NODES").splitlines()
        fields = next(line.split() for line in lines if line.startswith(self._ids[server]))
        return "master" in fields[2] and len(fields) > 8

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
