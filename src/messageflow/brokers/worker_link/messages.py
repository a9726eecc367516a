"""What travels between the workers and the process that has the broker: requests, answers, and what is published.

Pure. Requests and answers are MessagePack; a request is one struct, whose tag names the method. What belongs to a
channel travels under its *topic*, the name and a zero byte, so that no name is `EVERYBODY`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from messageflow.brokers.base import HistoryPart, Item, Stored
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import ClientInfo, Joined, Left
from messageflow.core.stream import Position, Publication
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable

EVERYBODY = b"\0"  # the topic of control messages: that of no channel


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """A worker begins. The answer is the address where it will hear publications."""

    node: str


class Alive(Struct, frozen=True, array_like=True, tag="alive"):
    """A worker is still there."""


class ChangeSubscriptions(Struct, frozen=True, array_like=True, tag="subscribe"):
    """A worker wants these channels, and those no longer. The answer comes once the server delivers accordingly."""

    wanted: list[str]
    unwanted: list[str]


class PublishItems(Struct, frozen=True, array_like=True, tag="publish"):
    items: list[Item]


class Since(Struct, frozen=True, array_like=True, tag="since"):
    channel: str
    position: Position
    limit: int | None
    size: int | None


class ReadPage(Struct, frozen=True, array_like=True, tag="page"):
    channel: str
    offset: int | None
    limit: int
    size: int | None
    reverse: bool


class Remove(Struct, frozen=True, array_like=True, tag="remove"):
    channel: str


class Join(Struct, frozen=True, array_like=True, tag="join"):
    """`info` is a `ClientInfo` as JSON, for it holds JSON that must pass through as it is."""

    channel: str
    info: bytes
    keep: bool
    tell: bool


class Leave(Struct, frozen=True, array_like=True, tag="leave"):
    channel: str
    info: bytes
    tell: bool


class Who(Struct, frozen=True, array_like=True, tag="who"):
    """Ask for presence."""

    channel: str


class HowMany(Struct, frozen=True, array_like=True, tag="how_many"):
    """Ask for the numbers of presence."""

    channel: str


class Tell(Struct, frozen=True, array_like=True, tag="tell"):
    """Hand a control message to every worker."""

    message: bytes


class Survey(Struct, frozen=True, array_like=True, tag="survey"):
    """Ask every worker."""

    question: bytes


class Report(Struct, frozen=True, array_like=True, tag="report"):
    """A worker's answer to a survey."""

    survey: int
    answer: bytes


Call = Alive | PublishItems | Since | ReadPage | Remove | Join | Leave | Who | HowMany | Tell | Survey | Report
Request = Hello | ChangeSubscriptions | Call


class NotKnown(Unavailable):
    """The server does not know the worker: it has not said hello, or was taken for dead."""


class Failed(Struct, frozen=True, array_like=True):
    """An error for an answer. `kind` is a word for its class."""

    kind: str
    text: str


OK, NOT_OK = b"+", b"-"  # the first frame of an answer

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_failure = msgspec.msgpack.Decoder(Failed).decode
decode_stored = msgspec.msgpack.Decoder(list[Stored]).decode
decode_history = msgspec.msgpack.Decoder(HistoryPart).decode
decode_stats = msgspec.msgpack.Decoder(PresenceCounts).decode
decode_answers = msgspec.msgpack.Decoder(list[bytes]).decode
decode_text = msgspec.msgpack.Decoder(str).decode
decode_presence = msgspec.json.Decoder(dict[str, ClientInfo]).decode
encode_json = msgspec.json.Encoder().encode
decode_info = msgspec.json.Decoder(ClientInfo).decode

_ERRORS: dict[str, type[BrokerError]] = {  # the narrower before the wider
    "unrecoverable": Unrecoverable,
    "no_room": NoRoom,
    "not_known": NotKnown,
    "unanswered": Unanswered,
    "unavailable": Unavailable,
}


def encode_failure(error: BrokerError) -> bytes:
    """Return the answer that says why a request was not carried out."""
    kind = next((kind for kind, each in _ERRORS.items() if isinstance(error, each)), "failed")
    return NOT_OK + encode(Failed(kind, str(error)))


def read_answer(answer: bytes) -> bytes:
    """Return what an answer carries.

    Raises:
        BrokerError: the request could not be carried out.
    """
    if answer[:1] == OK:
        return answer[1:]
    failed = decode_failure(answer[1:])
    raise _ERRORS.get(failed.kind, BrokerError)(failed.text)


# What travels under a topic: one byte that says what it is, and the rest.

PUBLISHED, JOINED, LEFT, CONTROL, MISSED, ASKED = b"P", b"J", b"L", b"C", b"M", b"Q"
WELCOME, BEAT = b"W", b"B"  # the first word on a link, and one for each sign of life: what is heard is alive

_encode_publication = msgspec.msgpack.Encoder().encode
_decode_publication = msgspec.msgpack.Decoder(tuple[str, Publication]).decode


def encode_topic(channel: str) -> bytes:
    """Return what a channel's messages travel under."""
    return channel.encode() + b"\0"


def decode_topic(frame: bytes) -> str:
    """Return the channel of a topic."""
    return frame[:-1].decode()


def encode_published(epoch: str, publication: Publication) -> bytes:
    """Return a publication as it travels."""
    return PUBLISHED + _encode_publication((epoch, publication))


def read_published(body: bytes) -> tuple[str, Publication]:
    """Return the epoch and the publication."""
    return _decode_publication(memoryview(body)[1:])


def encode_question(survey: int, question: bytes) -> bytes:
    """Return a question of a survey as it travels."""
    return ASKED + survey.to_bytes(8, "big") + question


def read_question(body: bytes) -> tuple[int, bytes]:
    """Return the number of the survey and the question."""
    return int.from_bytes(body[1:9], "big"), body[9:]


def encode_presence_push(push: Joined | Left) -> bytes:
    """Return a join or a leave as it travels."""
    return (JOINED if isinstance(push, Joined) else LEFT) + encode_json(push.info)


def read_presence_push(body: bytes) -> Joined | Left:
    """Return the join or the leave."""
    info = decode_info(body[1:])
    return Joined(info) if body[:1] == JOINED else Left(info)
