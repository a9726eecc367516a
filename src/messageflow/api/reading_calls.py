"""The calls of the server API that read, whatever they are about: channels, users who are online, workers.

That is the section Reading of the documentation, `history_remove` with it. What is known to each worker alone is asked
of all by survey, and answered in `gateway.survey_answers`.

Owns what such a call is refused for. Stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from messageflow.api import answers, bounds, calls
from messageflow.api.online import find_online
from messageflow.api.publishing import CallRefused, find_options
from messageflow.brokers.base import NodeMessages, PresenceReader, StreamStore
from messageflow.core.codes import NOT_AVAILABLE, UNRECOVERABLE
from messageflow.core.namespaces import Namespaces
from messageflow.core.protocol import view
from messageflow.core.weights import chunk

_decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_decode_node = msgspec.json.Decoder(answers.Node).decode


class ReadingBroker(StreamStore, PresenceReader, NodeMessages, Protocol):
    """The contracts of a broker that calls which read need."""


class ReadingCalls:
    """One method a call, by its name.

    Args:
        broker: is asked.
        namespaces: the options of every channel.
        pause: lets others have their turn between two slices of a large call.
    """

    def __init__(self, broker: ReadingBroker, namespaces: Namespaces, pause: Callable[[], Awaitable[None]]) -> None:
        self._broker = broker
        self._namespaces = namespaces
        self._pause = pause

    async def presence(self, call: calls.ChannelCall) -> answers.PresenceAnswer:
        """Return who is subscribed to a channel."""
        self._with_presence(call.channel)
        return answers.PresenceAnswer(await self._broker.read_presence(call.channel))

    async def presence_stats(self, call: calls.ChannelCall) -> answers.PresenceStats:
        """Return how many are."""
        self._with_presence(call.channel)
        stats = await self._broker.count_presence(call.channel)
        return answers.PresenceStats(stats.clients, stats.users)

    def online(self, call: calls.OnlineCall) -> Awaitable[answers.OnlineAnswer]:
        """Return which of some users have a connection."""
        return find_online(self._broker, self._namespaces, self._pause, call)

    async def history(self, call: calls.HistoryCall) -> answers.HistoryAnswer:
        """Return a part of a stream, as much as fits into one answer."""
        self._with_history(call.channel)
        limit = bounds.MOST_HISTORY if call.limit < 0 else min(call.limit, bounds.MOST_HISTORY)
        since = call.since or None
        offset = since.offset if since else None
        page = await self._broker.read_page(call.channel, offset, limit, bounds.ANSWER_BYTES, reverse=call.reverse)
        epoch, top, tag = page.position
        if since is not None and since.epoch and since.epoch != epoch:
            raise CallRefused(UNRECOVERABLE)
        publications = chunk(page.publications, limit, bounds.ANSWER_BYTES)
        return answers.HistoryAnswer([view(publication) for publication in publications], epoch, top, tag)

    async def history_remove(self, call: calls.ChannelCall) -> calls.Nothing:
        """Forget what a channel keeps."""
        self._with_history(call.channel)
        await self._broker.remove_history(call.channel)
        return calls.Nothing()

    async def channels(self, call: calls.ChannelsCall) -> answers.ChannelsAnswer:
        """Return the channels that have subscribers on any worker."""
        bounds.check_names(call.pattern)
        clients: Counter[str] = Counter()
        for answer in await self._broker.survey(b"channels\n" + call.pattern.encode()):
            clients.update(_decode_counts(answer))
            await self._pause()
        return answers.ChannelsAnswer({name: answers.ChannelFigures(count) for name, count in clients.items()})

    async def info(self, call: calls.Nothing) -> answers.InfoAnswer:
        """Return every worker."""
        nodes = map(_decode_node, await self._broker.survey(b"info\n"))
        return answers.InfoAnswer(tuple(sorted(nodes, key=lambda node: node.name)))

    def _with_presence(self, channel: str) -> None:
        if not find_options(self._namespaces, channel).presence:
            raise CallRefused(NOT_AVAILABLE, f"presence is off in {channel!r}: set `presence` for its namespace")

    def _with_history(self, channel: str) -> None:
        if not find_options(self._namespaces, channel).keeps_history:
            raise CallRefused(NOT_AVAILABLE, f"{channel!r} keeps no history: set history_size and history_ttl")
