"""What calls of the server API are answered, once for all who speak it; as `api.calls` has what they take.

What has a default may be missing: the publisher reads answers of other versions too.

Pure. Source: docs/http-api.md.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from messageflow.core.client_info import ClientInfo
from messageflow.core.protocol import PublicationView


class ReceiptAnswer(Struct, frozen=True, gc=False, omit_defaults=True):
    """Says that a publication was stored, and where.

    Args:
        channel: the channel it was published in.
        ack: what "stored" means: `memory`, `os`, `disk` or `replicated`.
        offset: its number in the stream, from 1; this and what follows is not there where no history is kept.
        epoch: the life of the stream the offset belongs to.
        tag: a short hash chained over the stream up to here.
    """

    channel: str
    ack: str | UnsetType = UNSET
    offset: int = 0
    epoch: str = ""
    tag: str = ""


class PresenceAnswer(Struct, frozen=True):
    """Who is subscribed to a channel.

    Args:
        presence: by session.
    """

    presence: dict[str, ClientInfo] = {}


class PresenceStats(Struct, frozen=True):
    """How many clients, of how many users, are subscribed to a channel.

    Args:
        num_clients: sessions.
        num_users: those they belong to.
    """

    num_clients: int = 0
    num_users: int = 0


class OnlineAnswer(Struct, frozen=True):
    """Which users have a connection now.

    Args:
        users: of those who were asked about, in that order.
    """

    users: list[str] = []


class HistoryAnswer(Struct, frozen=True):
    """A part of a stream, and the position of its newest publication (not of the last one in this part).

    Args:
        publications: the part.
        epoch: the life of the stream.
        offset: of the newest publication.
        tag: of the newest publication.
    """

    publications: list[PublicationView] = []
    epoch: str = ""
    offset: int = 0
    tag: str = ""


class ChannelFigures(Struct, frozen=True):
    """What a channel has.

    Args:
        num_clients: subscribers.
    """

    num_clients: int = 0


class ChannelsAnswer(Struct, frozen=True):
    """The channels that have subscribers.

    Args:
        channels: by name.
    """

    channels: dict[str, ChannelFigures] = {}


class TransportFigures(Struct, frozen=True):
    """How many sessions are connected in one way.

    Args:
        transport: what carries them: `websocket`, `sse` or `http_stream`.
        dialect: what they speak: `native`, `unidirectional`, `event_source` or `classic`.
        num_clients: sessions.
    """

    transport: str = ""
    dialect: str = ""
    num_clients: int = 0


class Node(Struct, frozen=True):
    """One gateway worker.

    Args:
        uid: names it for as long as it lives.
        name: the same.
        version: of messageflow.
        num_clients: sessions it has.
        num_users: of so many users.
        num_channels: channels that have subscribers there.
        num_subs: subscriptions.
        uptime: seconds since it began.
        transports: how its sessions are connected.
    """

    uid: str = ""
    name: str = ""
    version: str = ""
    num_clients: int = 0
    num_users: int = 0
    num_channels: int = 0
    num_subs: int = 0
    uptime: int | float = 0
    transports: tuple[TransportFigures, ...] = ()


class InfoAnswer(Struct, frozen=True):
    """The gateway's workers.

    Args:
        nodes: each of them.
    """

    nodes: tuple[Node, ...] = ()


class CallError(Struct, frozen=True):
    """Why a call, or a part of one, was not carried out.

    Args:
        code: as in docs/limits.md.
        message: a sentence for people.
    """

    code: int = 0
    message: str = ""


class BroadcastPart(Struct, frozen=True):
    """What came of one channel: either of both.

    Args:
        result: the receipt.
        error: why there is none.
    """

    result: ReceiptAnswer | UnsetType = UNSET
    error: CallError | UnsetType = UNSET


class BroadcastAnswer(Struct, frozen=True):
    """What came of each channel.

    Args:
        responses: one a channel, in order.
    """

    responses: list[BroadcastPart] = []


class BatchAnswer(Struct, frozen=True):
    """What came of each call. No `result` is around it.

    Args:
        replies: one a call, in order: an object with the method as its only key and what it is answered, or an `error`.
    """

    replies: list[dict[str, Raw]] = []
