"""One gateway worker, put together: broker, hub, API, HTTP and the port, from start to clean end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from messageflow.brokers.base import Broker
from messageflow.core.codes import RESTART
from messageflow.core.handshake_headers import ShownHeaders
from messageflow.core.token_verifier import Verifier, load_keys
from messageflow.core.zeromq_addresses import parse_zeromq_address
from messageflow.dialects import table
from messageflow.dialects.classic import ClassicDialect
from messageflow.errors import ConfigurationError
from messageflow.extras import missing
from messageflow.gateway import logs
from messageflow.gateway.acceptor import Acceptor
from messageflow.gateway.api_endpoint import ApiKey
from messageflow.gateway.application import ApplicationEndpoint, ASGIApp, observe
from messageflow.gateway.broker_choice import is_shared, make_broker
from messageflow.gateway.broker_start import finish_unless_ended, start_patiently
from messageflow.gateway.event_loop import run_loop
from messageflow.gateway.file_watch import FileWatch
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.file_room import FileRoom, Sockets
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.front_door.tls_handshake import TlsHandshake
from messageflow.gateway.gc_tuning import pause_collector, settle
from messageflow.gateway.hooks_in_process import load_hooks
from messageflow.gateway.hooks_of_handlers import serve_handlers
from messageflow.gateway.hooks_webhook import serve_webhook
from messageflow.gateway.listening import BACKLOG, listen
from messageflow.gateway.machine_check import warn_of_memory
from messageflow.gateway.open_files import WAY_OUT, raise_limit, read_limit
from messageflow.gateway.origins import Origins
from messageflow.gateway.paths import Paths
from messageflow.gateway.proxies import Proxies
from messageflow.gateway.relaxations import apply_insecurity, warn_of_relaxations
from messageflow.gateway.route_table import make_routes
from messageflow.gateway.settings import Settings
from messageflow.gateway.shutdown import Shutdown
from messageflow.gateway.token_policy import TokenPolicy
from messageflow.gateway.websocket_limits import WebSocketLimits
from messageflow.gateway.worker_api import WorkerApi
from messageflow.handlers.registry import Handlers
from messageflow.hub.hub import NO_HOOKS, Hub
from messageflow.hub.limits import Limits, message_size

if TYPE_CHECKING:
    from messageflow.gateway.zeromq_entrance import ZeromqEntrance

log = logging.getLogger("messageflow.gateway")

HURRIED = 3.0  # seconds after a second signal in which all must have ended


class Gateway:
    """One worker.

    Args:
        settings: checked by `gateway.settings_check`.
        application: gets every request that is not the gateway's.
        broker: of the parent process, for one of several workers; a worker alone has its own.
        listener: the parent's socket, or what `serve` was given; otherwise it binds one.
        worker: the name of one of several workers.
        handlers: of the application, unless the settings name others.

    Attributes:
        hub: its sessions and channels.
        api: its server API.
        loop: the event loop it runs on, once started.
        finish_application: waits for what the application still publishes when its last request and its lifespan have
            ended, within so many seconds; None where there is nothing to wait for.
    """

    _zeromq: ZeromqEntrance | None = None

    def __init__(
        self,
        settings: Settings,
        application: ASGIApp | None = None,
        *,
        broker: Broker | None = None,
        listener: socket.socket | None = None,
        worker: str = "",
        handlers: Handlers | None = None,
    ) -> None:
        self.settings = settings = apply_insecurity(settings)
        self.worker = worker
        self._listener = listener
        broker = broker or make_broker(settings)
        found = load_hooks(settings.hooks, settings.limits.hooks.hook_concurrency) if settings.hooks else NO_HOOKS
        hooks, handlers = (NO_HOOKS, found) if isinstance(found, Handlers) else (found, handlers)
        verifier = make_verifier(settings.tokens, table.CLASSIC.get(settings.classic))
        shared = bool(worker) or is_shared(settings)
        self.hub = Hub(broker, settings.namespaces, verifier, settings.limits, hooks=hooks, name=worker, shared=shared)
        if settings.restarts:
            self.hub.goodbye = RESTART
        self._webhook = serve_webhook(settings, self.hub) if settings.hooks_url else None
        if handlers is not None and self._webhook is None:
            serve_handlers(self.hub.hooks, handlers, settings.limits.hooks.hook_concurrency)
        self.api = WorkerApi(self.hub, settings.limits.payload_size_limit)
        self.files = FileRoom(read_limit().soft)
        self.admission = Admission(
            self.hub,
            Origins(settings.allowed_origins, require_origin=settings.require_origin, dev=settings.dev),
            Proxies(settings.trusted_proxies),
            tls=settings.tls_cert is not None,
            tls_terminated=settings.tls_terminated,
            limits=settings.admission,
            shown_headers=ShownHeaders(settings.hook_headers),
            files=self.files,
        )
        self.paths = Paths(settings.base_path, guest=application is not None, classic=settings.classic != "off")
        self.application = application
        self.application_endpoint = None if application is None else ApplicationEndpoint(self.admission)
        self.front_door = FrontDoor(
            make_routes(
                self.admission,
                self.api,
                ApiKey(settings.api_key),
                self.paths,
                settings.http,
                set_message_size(settings.frames, settings.limits),
                self.application_endpoint,
                metrics_public=settings.metrics_public,
                classic=table.CLASSIC.get(settings.classic),
            ),
            settings.http,
            self.admission.count_slow,
            self.files,
            self.admission.note_crowd,
        )
        self.files.join(self._count_sockets)
        self.loop: asyncio.AbstractEventLoop
        self.port = settings.port
        self.finish_application: Callable[[float], Awaitable[object]] | None = None

    async def _start_hub(self) -> bool:
        """Start the hub. Returns False where it waited for its broker, and a signal has ended that."""

        async def start() -> None:
            with pause_collector():
                await self.hub.start()

        if not is_shared(self.settings):
            await start()
            return True
        return await finish_unless_ended(start_patiently(start, self.settings.streams.broker_start_timeout))

    def _count_sockets(self) -> Sockets:
        door = self.front_door
        return Sockets(self.admission.open_connections, len(door.connections), door.waiting)

    async def run(
        self,
        on_started: Callable[[Gateway], None] | None = None,
        on_opened: Callable[[Gateway], None] | None = None,
    ) -> None:
        """Serve until a signal ends it.

        Args:
            on_started: called once connections are accepted.
            on_opened: called once the API may be called, before the application starts.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        self.loop = asyncio.get_running_loop()
        self._zeromq = make_zeromq_entrance(self.settings, self.api, self.worker)
        listener = self._listener or listen(self.settings.host, self.settings.port, self.settings.spare_ports)
        self.port = listener.getsockname()[1]
        server = _Server(self, on_started)
        if not await self._start_hub():
            listener.close()
            return
        if self._webhook is not None:
            self.hub.runtime.spawn(self._webhook.watch(), name="webhook")
        settle()
        if self._zeromq is not None:
            self._zeromq.open()
        if on_opened is not None:
            on_opened(self)
        # uvicorn raises the signal again once it has closed; by then there is nothing left for SIGTERM to end. Until
        # here it ends a start that takes long, which is merely a crash.
        signal.signal(signal.SIGTERM, _already_closed)
        try:
            await server.serve(sockets=[listener])
        finally:
            await self.close_zeromq()
            await self.hub.close()
            if self._webhook is not None:
                self._webhook.close()
            listener.close()

    async def close_zeromq(self) -> None:
        """Publish what has come over ZeroMQ, and take no more."""
        if self._zeromq is not None:
            entrance, self._zeromq = self._zeromq, None
            await entrance.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which lets the hub say goodbye before the port closes, and ends without a signal's death."""

    def __init__(self, gateway: Gateway, on_started: Callable[[Gateway], None] | None) -> None:
        settings, application = gateway.settings, gateway.application
        super().__init__(
            uvicorn.Config(
                _no_application if application is None else observe(application),
                http=HttpConnection,  # not called: connections are made here
                ws="none" if application is None else "websockets-sansio",
                lifespan="off" if application is None else "auto",
                log_config=None,
                access_log=application is not None,
                proxy_headers=False,  # `front_door.admission` reads them, for all alike
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=int(gateway.front_door.limits.keep_alive),
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )
        self._gateway = gateway
        self._on_started = on_started
        self._acceptor: Acceptor
        self._watch = FileWatch(gateway.files, self._pause, lambda: self._acceptor.resume())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        gateway, state = self._gateway, self.server_state
        gateway.front_door.join(state.connections, state.tasks, lambda: state.default_headers)
        if gateway.application_endpoint is not None:
            gateway.application_endpoint.serve_with(self.config, state, self.lifespan.state)
        self._acceptor = Acceptor(list(sockets or ()), self._accept_from, gateway.front_door.run)
        await super().startup([])  # who connects to uvicorn and does not begin with TLS has a minute for it
        self.servers = self._acceptor.servers  # type: ignore[assignment]  # uvicorn closes them and waits
        if not self.should_exit:
            await self._acceptor.start()
        self._watch.start()
        if self._on_started is not None:
            self._on_started(self._gateway)
        if not self._gateway.worker:  # once programs can find it, for those that wait for this line ask at once
            log.info("started", extra={"host": self._gateway.settings.host, "port": self._gateway.port})
        self._check_connections_limit()

    def _check_connections_limit(self) -> None:
        wanted, room = self._gateway.settings.admission.connections_limit, self._gateway.files
        if room.limit and wanted > room.for_connections:
            log.warning(
                "connections_limit_out_of_reach",
                extra={"connections_limit": wanted, "reached": room.for_connections, "option": WAY_OUT},
            )

    def _pause(self) -> None:
        self._gateway.admission.counters.accept_pauses += 1
        self._acceptor.pause()

    async def _accept_from(self, listener: socket.socket) -> asyncio.AbstractServer:
        door, tls = self._gateway.front_door, self.config.ssl
        make = partial(HttpConnection, door) if tls is None else partial(TlsHandshake, door, tls)
        return await self._gateway.loop.create_server(make, sock=listener, backlog=BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", extra={"sessions": len(self._gateway.hub.sessions)})
        self._watch.stop()
        self._acceptor.stop()
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        settings, admission = self._gateway.settings, self._gateway.admission
        never_outlive(settings.shutdown_grace)
        await self._gateway.close_zeromq()
        shutdown = Shutdown(admission, settings.drain_time, settings.shutdown_grace, lambda: self.force_exit)
        await shutdown.drain()
        self.config.timeout_graceful_shutdown = max(1, int(shutdown.left / 2))
        await super().shutdown(sockets)  # requests of the application end first, for they may still push
        if self._gateway.finish_application is not None:
            await self._gateway.finish_application(shutdown.left / 2)
        await shutdown.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and not self.force_exit:  # the second signal
            self.force_exit = True
            never_outlive(HURRIED)
        super().handle_exit(sig, frame)


def serve(
    settings: Settings,
    *,
    application: ASGIApp | None = None,
    listener: socket.socket | None = None,
    on_started: Callable[[Gateway], None] | None = None,
    on_opened: Callable[[Gateway], None] | None = None,
    handlers: Handlers | None = None,
) -> None:
    """Run one gateway worker until SIGTERM or SIGINT.

    Args:
        settings: checked by `gateway.settings_check`.
        application: gets every request that is not the gateway's.
        listener: what it listens on; otherwise it binds the port.
        on_started: called on the event loop once connections are accepted.
        on_opened: called on the event loop once the API may be called, before the application starts.
        handlers: of the application, unless the settings name others.

    Raises:
        ConfigurationError: the address cannot be listened on.
        KeyboardInterrupt: SIGINT ended it, after a clean close.
    """
    logs.configure(settings.log_format, settings.log_level, access=application is not None)
    raise_limit()
    warn_of_memory(settings)
    warn_of_relaxations(settings)
    previous = signal.getsignal(signal.SIGTERM)
    try:
        run_loop(Gateway(settings, application, listener=listener, handlers=handlers).run(on_started, on_opened))
    finally:
        signal.signal(signal.SIGTERM, previous)
        log.info("stopped")


def never_outlive(seconds: float) -> None:
    """End this process after so many seconds, even if a thread of the application still works then."""

    def end() -> None:
        log.error("grace_over", extra={"seconds": seconds})
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def _no_application(scope: object, receive: object, send: object) -> None:
    raise AssertionError("a gateway alone gives no request to an application")


def _already_closed(number: int, frame: FrameType | None) -> None:
    pass


def make_verifier(policy: TokenPolicy, classic: ClassicDialect | None = None) -> Verifier:
    """Return what decides by a policy.

    Args:
        policy: the settings.
        classic: what old browsers speak here, whose tokens name the user in a claim of its own.

    Raises:
        ConfigurationError: a key cannot be used.
    """
    return Verifier(
        load_keys(policy.token_secret, policy.token_public_keys),
        audience=policy.token_audience or None,
        issuer=policy.token_issuer or None,
        lifetime_limit=policy.token_lifetime_limit,
        allow_anonymous=policy.allow_anonymous,
        allow_endless=policy.allow_token_without_expiry,
        user_claim="" if classic is None else classic.user_key,
    )


def make_zeromq_entrance(settings: Settings, api: WorkerApi, worker: str) -> ZeromqEntrance | None:
    """Return where backends of the ancestors push; None where they do not, or not to this worker.

    Raises:
        ConfigurationError: the library of ZeroMQ is not installed.
    """
    if not settings.zeromq or worker.partition("-")[0] not in ("", "1"):  # a socket of ZeroMQ is one process's
        return None
    try:
        from messageflow.gateway.zeromq_entrance import ZeromqEntrance
    except ImportError as error:
        if sentence := missing(error, "the setting zeromq"):
            raise ConfigurationError(sentence) from None
        raise
    return ZeromqEntrance([*map(parse_zeromq_address, settings.zeromq)], api, settings.limits.payload_size_limit)


def set_message_size(frames: WebSocketLimits, limits: Limits) -> WebSocketLimits:
    """Return the limits of frames with a size of messages: the one that was set, else what those of the hub ask for."""
    size = frames.message_size_limit or message_size(limits.channels_per_connection, limits.payload_size_limit)
    return msgspec.structs.replace(frames, message_size_limit=size)
