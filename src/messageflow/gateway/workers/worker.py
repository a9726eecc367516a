"""A worker process: a gateway on the parent's socket, with the parent's broker, that ends when the parent does."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable
from functools import partial

import msgspec

from messageflow.brokers.worker_link.broker import ParentBroker
from messageflow.gateway import logs
from messageflow.gateway.application import ASGIApp
from messageflow.gateway.broker_choice import make_broker
from messageflow.gateway.event_loop import run_loop
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_connection import HttpConnection
from messageflow.gateway.open_files import raise_limit
from messageflow.gateway.server import Gateway
from messageflow.gateway.workers.lender import Lender
from messageflow.gateway.workers.worker_config import NO_LENDING, WorkerConfig, decode_address, decode_config
from messageflow.handlers.registry import Handlers

log = logging.getLogger("messageflow.gateway")

STDIN = 0
CONFIG_BYTES = 1 << 20


def read_config() -> WorkerConfig:
    """Return what the parent wants, from standard input. It may have told already that its broker has moved.

    Raises:
        msgspec.MsgspecError: nobody wrote a config there: this process was not started by a gateway.
        ConfigurationError: the gateway is of another version.
    """
    line = b""
    while b"\n" not in line and len(line) < CONFIG_BYTES:
        piece = os.read(STDIN, 65_536)
        if not piece:
            break
        line += piece
    first, _, moved = line.partition(b"\n")
    config = decode_config(first)
    return msgspec.structs.replace(config, broker=decode_address(moved)) if moved else config


def bound_port(listener: int) -> int:
    """Return the port of the parent's socket, which it goes on to own."""
    with socket.socket(fileno=os.dup(listener)) as copy:
        port: int = copy.getsockname()[1]
        return port


def work(
    config: WorkerConfig,
    application: ASGIApp | None,
    on_opened: Callable[[Gateway], None] | None = None,
    handlers: Handlers | None = None,
) -> None:
    """Serve until the parent says otherwise, or is gone.

    Args:
        config: of the parent.
        application: gets every request that is not the gateway's.
        on_opened: called once the API may be called, before the application starts.
        handlers: of the application, unless the settings name others.
    """
    settings = config.settings
    logs.configure(settings.log_format, settings.log_level, access=application is not None, worker=config.number)
    raise_limit()
    run_loop(_serve(config, application, on_opened, handlers))


async def _serve(
    config: WorkerConfig,
    application: ASGIApp | None,
    on_opened: Callable[[Gateway], None] | None,
    handlers: Handlers | None,
) -> None:
    for descriptor in (config.listener, config.ready, STDIN, config.lending):
        if descriptor != NO_LENDING:
            os.set_inheritable(descriptor, False)  # what the application starts has no part in them
    loop = asyncio.get_running_loop()
    broker = ParentBroker(config.broker, config.name) if config.broker else make_broker(config.settings, config.name)
    gateway = Gateway(
        config.settings,
        application,
        broker=broker,
        listener=socket.socket(fileno=config.listener),
        worker=config.name,
        handlers=handlers,
    )

    if config.lending != NO_LENDING:
        end = socket.socket(fileno=config.lending)
        gateway.front_door.lend = Lender(end, partial(_accept_again, gateway.front_door)).lend

    def started(_: Gateway) -> None:
        os.write(config.ready, b"1")
        os.close(config.ready)

    def parent_gone() -> None:
        loop.remove_reader(STDIN)
        log.error("parent_gone")
        if isinstance(broker, ParentBroker):
            shutil.rmtree(os.path.dirname(broker.address), ignore_errors=True)
            broker.sever("the parent process is gone")
        for _ in range(2):  # once to end, and once more not to wait for anything
            signal.raise_signal(signal.SIGTERM)

    def heard() -> None:
        lines = os.read(STDIN, 4096)
        if not lines:
            parent_gone()
        elif isinstance(broker, ParentBroker):
            broker.address = decode_address(lines)

    loop.add_reader(STDIN, heard)
    await gateway.run(started, on_opened)


def _accept_again(door: FrontDoor, end: socket.socket, content: bytes) -> None:
    """Take a connection back that was lent, with what has come on it meanwhile."""
    door.run(_go_on_with(door, end, content))


async def _go_on_with(door: FrontDoor, end: socket.socket, content: bytes) -> None:
    end.setblocking(False)
    try:
        make = partial(HttpConnection, door)
        _, connection = await asyncio.get_running_loop().connect_accepted_socket(make, end)
    except OSError:  # its other end is gone
        end.close()
        return
    if content:
        connection.data_received(content)
