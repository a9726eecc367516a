"""What one worker answers to surveys: calls of the server API that ask every worker, such as `channels` and `info`.

`api.reading_calls` asks, over `brokers.base.NodeMessages.survey`, and joins the answers.

Owns nothing: it looks at the hub.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Callable, Mapping

import msgspec

from messageflow.api import answers
from messageflow.hub.hub import Hub
from messageflow.hub.session_kinds import count_kinds
from messageflow.version import VERSION

_encode = msgspec.json.Encoder().encode


class SurveyAnswers:
    """The answers of one worker.

    Args:
        hub: whose sessions and channels these are about.

    Attributes:
        by_question: what answers each question, given what follows its name.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._started = time.monotonic()
        self.by_question: Mapping[bytes, Callable[[bytes], bytes]] = {b"channels": self.channels, b"info": self.info}

    def channels(self, pattern: bytes) -> bytes:
        """Return how many clients each channel has on this worker."""
        channels = self._hub.channels.items()
        if not pattern:
            return _encode({name: len(channel.live) + len(channel.lagging) for name, channel in channels})
        wanted = re.compile(fnmatch.translate(pattern.decode())).match
        return _encode({name: len(channel.live) + len(channel.lagging) for name, channel in channels if wanted(name)})

    def info(self, _: bytes) -> bytes:
        """Return what this worker is and holds."""
        hub = self._hub
        kinds = sorted(count_kinds(hub.sessions.values()).items())
        return _encode(
            answers.Node(
                uid=hub.name,
                name=hub.name,
                version=VERSION,
                num_clients=len(hub.sessions),
                num_users=len(hub.users),
                num_channels=len(hub.channels),
                num_subs=sum(len(session.subscriptions) for session in hub.sessions.values()),
                uptime=int(time.monotonic() - self._started),
                transports=tuple([answers.TransportFigures(*kind, number) for kind, number in kinds]),
            )
        )
