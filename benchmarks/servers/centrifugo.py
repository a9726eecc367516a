"""The peer Centrifugo, where the environment variable CENTRIFUGO names its binary: one process, with token and history.

It speaks the dialect that ours speaks, so its subscribers say the same. Each of them is subscribed by the server to
two channels besides, as ours are: to one of their own, and to one that all are in, which their token names here.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.servers.base import PublishSide, Server, SubscribeSide, free_port
from benchmarks.servers.gateway import API_KEY, CHANNEL, TOKEN_SECRET, first_frames
from benchmarks.tools import Unavailable

VARIABLE = "CENTRIFUGO"
HISTORY = 100  # publications kept a channel, as in our gateway's namespace
EVERYBODY = "everybody"  # stands for our broadcast channel


def centrifugo(scratch: Path) -> Server:
    """Centrifugo on a free port.

    Raises:
        Unavailable: the variable names no program.
    """
    binary = shutil.which(os.environ.get(VARIABLE, ""))
    if binary is None:
        raise Unavailable(f"the environment variable {VARIABLE} names no binary of it")
    port = free_port()
    home = Path(tempfile.mkdtemp(prefix="centrifugo-", dir=scratch))
    configuration = home / "centrifugo.json"
    configuration.write_text(json.dumps(settings(port)))
    return Server(
        name="Centrifugo",
        command=(binary, "-c", str(configuration)),
        port=port,
        subscribe=SubscribeSide(
            path="/connection/websocket",
            first_frames=partial(first_frames, channels=(EVERYBODY,)),
            ready_text='"id":2',
            answer_pings=True,
        ),
        publish=PublishSide(
            path="/api/publish",
            body=lambda text: json.dumps({"channel": CHANNEL, "data": text}),
            headers={"X-API-Key": API_KEY, "Content-Type": "application/json"},
        ),
        directory=home,
    )


def settings(port: int) -> dict[str, object]:
    """Its configuration, of version 6."""
    return {
        "http_server": {"address": "127.0.0.1", "port": str(port)},
        "http_api": {"key": API_KEY},
        "client": {
            "token": {"hmac_secret_key": TOKEN_SECRET},
            "allowed_origins": ["*"],
            "connection_limit": 0,
            "subscribe_to_user_personal_channel": {"enabled": True},
        },
        "channel": {
            "namespaces": [
                {
                    "name": CHANNEL.partition(":")[0],
                    "allow_subscribe_for_client": True,
                    "history_size": HISTORY,
                    "history_ttl": "60s",
                    "force_recovery": True,
                }
            ]
        },
        "log": {"level": "error"},
    }
