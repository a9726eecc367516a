"""The peer: Nchan, a pub/sub module for nginx written in C, as Debian packages it; one worker, one channel."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.servers.base import PublishSide, Server, SubscribeSide, free_port
from benchmarks.tools import NCHAN_MODULE, require

HISTORY = 100  # publications kept a channel, as in our gateway's namespace
PING_SECONDS = 15  # as our gateway's default

CONFIGURATION = """
load_module {module};
{user}
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections {files}; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /sub {{ nchan_subscriber websocket; nchan_channel_id all; nchan_websocket_ping_interval {ping}; }}
    location = /events {{ nchan_subscriber eventsource; nchan_channel_id all; nchan_eventsource_ping_interval {ping}; }}
    location = /pub {{ nchan_publisher; nchan_channel_id all; nchan_message_buffer_length {history}; }}
  }}
}}
"""


def nchan(scratch: Path) -> Server:
    """Nchan on a free port.

    Raises:
        Unavailable: nginx or the module is missing and cannot be installed.
    """
    nginx = require("nginx")
    port = free_port()
    home = Path(tempfile.mkdtemp(prefix="nchan-", dir=scratch))
    configuration = home / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            module=NCHAN_MODULE,
            user="user root;" if os.geteuid() == 0 else "",  # the worker has to reach the scratch directory
            files=20_000,
            home=home,
            port=port,
            ping=PING_SECONDS,
            history=HISTORY,
        )
    )
    return Server(
        name="Nchan",
        command=(nginx, "-c", str(configuration), "-p", str(home), "-e", str(home / "error.log")),
        port=port,
        subscribe=SubscribeSide(path="/sub"),
        publish=PublishSide(path="/pub", body=lambda text: text),
    )
