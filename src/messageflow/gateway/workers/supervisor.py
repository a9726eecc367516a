"""The parent of several workers: it has the broker and the port, starts workers, and starts another when one dies.

The listening socket is the parent's and all workers accept from it, so a connection that waits in it outlives any
worker. A worker that dies is replaced after a pause that grows while it keeps dying; why it died is said in the log.
The parent serves no client itself, but for backends whose connection a worker has lent it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from messageflow.brokers.worker_link.broker_server import BrokerServer
from messageflow.brokers.worker_link.socket_directory import SocketDirectory
from messageflow.core.backoff import Backoff
from messageflow.errors import ConfigurationError
from messageflow.gateway import logs
from messageflow.gateway.broker_choice import is_shared, make_local_broker
from messageflow.gateway.event_loop import run_loop
from messageflow.gateway.gc_tuning import pause_collector, settle
from messageflow.gateway.listening import listen
from messageflow.gateway.machine_check import warn_of_memory
from messageflow.gateway.metrics import parent_metrics
from messageflow.gateway.open_files import raise_limit
from messageflow.gateway.relaxations import warn_of_relaxations
from messageflow.gateway.server import HURRIED, never_outlive
from messageflow.gateway.settings import Settings
from messageflow.gateway.settings_loading import replace_values
from messageflow.gateway.workers.borrowed_connections import BorrowedConnections
from messageflow.gateway.workers.worker_config import NO_LENDING, WorkerConfig, encode_address, encode_config

log = logging.getLogger("messageflow.gateway")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds before a worker that died is replaced
STEADY = 30.0  # seconds of life after which the pauses begin anew
HOPELESS = 3  # deaths of a worker in a row, before any worker was ever ready, that end the start
UNKNOWN = -1  # the error number of uvloop for a pair of sockets that could not be made
KILL_AFTER = 2.0  # seconds past the grace after which a worker that still lives is killed


class Supervisor:
    """The workers of one gateway.

    Args:
        settings: checked by `gateway.settings_check`; `workers` of them.
        command: starts a worker, which reads its config from standard input.
        application: `module:attribute` of what is served beside the gateway; empty for nothing.
        directory: where the application is found.
        listener: what they listen on; otherwise the port is bound.

    Attributes:
        port: where the gateway listens, once it does.
    """

    def __init__(
        self,
        settings: Settings,
        command: list[str],
        application: str = "",
        directory: Path | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.port = settings.port
        self._settings = settings
        self._command = command
        self._application = application
        self._application_directory = directory
        self._listener = listener
        self._server: BrokerServer | None = None  # none where each worker speaks to a broker of its own
        self._borrowed: BorrowedConnections | None = None  # as above
        self._processes: dict[int, Process] = {}
        self._ever_ready = False
        self._patient_until = time.monotonic() + settings.streams.broker_start_timeout
        self._stopping = asyncio.Event()
        self._signals = 0
        self._interrupted = False

    async def run(self, on_started: Callable[[int], None] | None = None) -> None:
        """Serve until a signal ends it.

        Args:
            on_started: called with the port once every worker accepts connections.

        Raises:
            ConfigurationError: the address cannot be listened on, the broker not opened, or no worker starts.
            KeyboardInterrupt: SIGINT ended it, after a clean close.
        """
        loop = asyncio.get_running_loop()
        listener = self._listener or listen(self._settings.host, self._settings.port, self._settings.spare_ports)
        self.port = listener.getsockname()[1]
        directory: SocketDirectory | None = None
        if not is_shared(self._settings):
            broker = make_local_broker(self._settings)
            has_directory = self._settings.streams.broker == "embedded"
            directory = SocketDirectory([self._settings.own_directory] if has_directory else [])
            self._server = BrokerServer(broker, directory, self._answer, self._tell_address)
            self._borrowed = BorrowedConnections(broker, self._settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        try:
            if self._server is not None:
                with pause_collector():
                    await self._server.start()
                settle()
            try:
                await self._supervise(listener, on_started)
            finally:
                if self._server is not None:
                    await self._server.close()
        finally:
            listener.close()
            if directory is not None:
                directory.remove()
        if self._interrupted:
            raise KeyboardInterrupt

    async def _supervise(self, listener: socket.socket, on_started: Callable[[int], None] | None) -> None:
        count = self._settings.workers
        ready: list[asyncio.Future[None]] = [asyncio.get_running_loop().create_future() for _ in range(count)]
        keepers = [
            asyncio.create_task(self._keep(number, listener, ready[number - 1]), name=f"worker {number}")
            for number in range(1, count + 1)
        ]
        announcing = asyncio.create_task(self._announce(ready, on_started))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        listener.close()  # the workers close theirs as they begin to drain
        failures = await self._end(keepers)
        announcing.cancel()
        await asyncio.wait([announcing, stopping])
        if failures:
            raise failures[0]

    async def _announce(self, ready: list[asyncio.Future[None]], on_started: Callable[[int], None] | None) -> None:
        """Say that the gateway has started, once every worker accepts connections."""
        await asyncio.wait(ready)
        if on_started is not None:
            on_started(self.port)
        log.info("started", extra={"host": self._settings.host, "port": self.port, "workers": len(ready)})

    # One worker

    async def _keep(self, number: int, listener: socket.socket, ready: asyncio.Future[None]) -> None:
        """Have a worker of this number, always.

        Raises:
            ConfigurationError: it cannot be started.
        """
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, random.random)
        while not self._stopping.is_set():
            began = time.monotonic()
            name = f"{number}-{secrets.token_urlsafe(6)}"
            try:
                why = _why(await self._live(number, name, listener, ready))
            except (OSError, ConfigurationError) as error:
                why = f"it could not be started: {error}"
            if self._server is not None:
                self._server.note_ended(name)
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY:
                backoff.reset()
            pause = backoff.fail()
            if backoff.failures >= HOPELESS and not self._ever_ready:
                raise ConfigurationError(f"the workers do not start (the last: {why}); see above")
            log.error(
                "worker_died",
                extra={"number": number, "why": why, "deaths": backoff.failures, "again_in": round(pause, 3)},
            )
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                pass

    async def _live(self, number: int, name: str, listener: socket.socket, ready: asyncio.Future[None]) -> int:
        """Run one process, and return what it ended with."""
        if self._borrowed is None:
            return await self._run_worker(number, name, listener, ready, NO_LENDING)
        with self._borrowed.lending() as end:
            return await self._run_worker(number, name, listener, ready, end)

    async def _run_worker(
        self, number: int, name: str, listener: socket.socket, ready: asyncio.Future[None], lending: int
    ) -> int:
        if self._server is not None:
            self._server.keep_reachable()
        says_ready, ready_end = os.pipe()
        config = WorkerConfig(
            self._settings if self._ever_ready else self._shorten_patience(),
            listener.fileno(),
            ready_end,
            self._server.address if self._server is not None else "",
            name,
            number,
            self._application,
            self._application_directory,
            lending,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[each for each in (listener.fileno(), ready_end, lending) if each >= 0],
                start_new_session=True,  # signals of the terminal come to the parent, which passes them on
            )
        except BaseException as error:
            reason = _find_reason(error)
            os.close(says_ready)
            raise reason from None
        finally:
            os.close(ready_end)
        self._processes[number] = process
        if self._stopping.is_set():
            process.terminate()
        assert process.stdin is not None
        process.stdin.write(encode_config(config))
        loop = asyncio.get_running_loop()
        loop.add_reader(says_ready, self._ready, says_ready, number, process.pid, ready)
        try:
            return await process.wait()
        finally:
            loop.remove_reader(says_ready)
            os.close(says_ready)
            process.stdin.close()
            self._processes.pop(number, None)

    def _shorten_patience(self) -> Settings:
        """Return the settings of a worker that has what is left of the time to wait for the broker: it is one start."""
        left = self._patient_until - time.monotonic()
        return replace_values(self._settings, broker_start_timeout=max(0.0, left))

    def _ready(self, says_ready: int, number: int, pid: int, ready: asyncio.Future[None]) -> None:
        asyncio.get_running_loop().remove_reader(says_ready)
        if os.read(says_ready, 1):
            self._ever_ready = True
            log.info("worker_ready", extra={"number": number, "pid": pid})
            if not ready.done():
                ready.set_result(None)

    def _answer(self, question: bytes) -> bytes:
        """Answer a question to all nodes, for this process."""
        if self._server is None or self._borrowed is None or question != b"metrics\n":
            return b""
        return parent_metrics(self._server.statistics(), self._borrowed.answered, len(self._borrowed))

    def _tell_address(self, address: str) -> None:
        """The broker's socket was made anew: tell the workers where, should they have to come back."""
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.write(encode_address(address))

    # The end

    def _stop(self, number: int) -> None:
        self._signals += 1
        self._interrupted = self._interrupted or number == signal.SIGINT
        self._stopping.set()
        if self._borrowed is not None:
            self._borrowed.close()
        if self._signals == 1:
            log.info("stopping", extra={"workers": len(self._processes)})
            never_outlive(self._settings.shutdown_grace + 2 * KILL_AFTER)
        else:
            self._signal(signal.SIGTERM)
            never_outlive(HURRIED + KILL_AFTER)

    def _signal(self, number: int) -> None:
        for process in tuple(self._processes.values()):
            try:
                process.send_signal(number)
            except ProcessLookupError:
                pass

    async def _end(self, keepers: list[asyncio.Task[None]]) -> list[BaseException]:
        """Let the workers drain, and kill those that are not gone after the grace. Returns why any did not start."""
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait(keepers, timeout=self._settings.shutdown_grace + KILL_AFTER)
        if late:
            log.error("workers_killed", extra={"workers": len(late)})
            self._signal(signal.SIGKILL)
            await asyncio.wait(late)
        return [error for keeper in keepers if (error := keeper.exception()) is not None]


def supervise(
    settings: Settings,
    command: list[str],
    *,
    application: str = "",
    directory: Path | None = None,
    listener: socket.socket | None = None,
    on_started: Callable[[int], None] | None = None,
) -> None:
    """Run a gateway of several workers until SIGTERM or SIGINT, see `Supervisor`."""
    logs.configure(settings.log_format, settings.log_level)
    raise_limit()
    warn_of_memory(settings)
    warn_of_relaxations(settings)

    async def main() -> None:
        await Supervisor(settings, command, application, directory, listener).run(on_started)

    try:
        run_loop(main())
    finally:
        log.info("stopped")


def worker_command() -> list[str]:
    """Return what starts a worker of this installation."""
    return [sys.executable, "-m", "messageflow.cli", "worker"]


def _why(code: int) -> str:
    """Say what a process ended with."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _find_reason(error: BaseException) -> BaseException:
    """Return why a process could not be started: of a pair of sockets it could not make uvloop says -1."""
    if isinstance(error, OSError) and error.errno == UNKNOWN:
        try:
            for end in socket.socketpair():
                end.close()
        except OSError as reason:
            return reason
    return error
