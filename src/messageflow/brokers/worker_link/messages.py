"""What travels between the workers and the process that has the broker: requests, answers, and what is published.

Pure. A request is its number and one struct in MessagePack, whose tag names the method; number 0 wants no answer. What
comes back begins with a byte that says what it is.
"""

from __future__ import annotations

from struct import Struct as BinaryStruct

import msgspec
from msgspec import Struct

from messageflow.brokers.base import HistoryPart, Stored
from messageflow.core.client_info import ClientInfo
from messageflow.core.presence import PresenceCounts
from messageflow.core.protocol import Joined, Left
from messageflow.core.reservations import Reservation
from messageflow.core.stream import Item, Position, Publication
from messageflow.errors import BrokerError, NoRoom, Unanswered, Unavailable, Unrecoverable


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """The first word of a worker on a link: who it is, and the number of the last control message it has taken."""

    node: str
    taken: int


FORGOTTEN = b"forgotten"  # the answer to a worker that comes back after it was taken for dead; else it is empty


class Alive(Struct, frozen=True, array_like=True, tag="alive"):
    """A worker is still there, and has taken the control messages up to this number."""

    taken: int


class ChangeSubscriptions(Struct, frozen=True, array_like=True, tag="subscribe"):
    """A worker wants these channels, and those no longer.

    From the answer on all that is stored in the channels it wants follows; the answer says where each stands.
    """

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


class Enter(Struct, frozen=True, array_like=True, tag="enter"):
    """`Join` and `ChangeSubscriptions` with one channel, and the answer of the latter."""

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


class Occupied(Struct, frozen=True, array_like=True, tag="occupied"):
    """Ask in which of these channels anybody is present."""

    channels: list[str]


class Reserve(Struct, frozen=True, array_like=True, tag="reserve"):
    """Reserve a key of a user for this worker."""

    user: str
    key: str
    age: float | None


class Settle(Struct, frozen=True, array_like=True, tag="settle"):
    """What this worker reserved has ended."""

    user: str
    key: str
    outcome: bytes | None


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


Call = (
    Alive
    | ChangeSubscriptions
    | PublishItems
    | Since
    | ReadPage
    | Remove
    | Join
    | Enter
    | Leave
    | Who
    | HowMany
    | Occupied
    | Reserve
    | Settle
    | Tell
    | Survey
    | Report
)
Request = Hello | Call


class Failed(Struct, frozen=True, array_like=True):
    """An error for an answer. `kind` is a word for its class."""

    kind: str
    text: str


encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(Request).decode
_decode_failure = msgspec.msgpack.Decoder(Failed).decode
decode_positions = msgspec.msgpack.Decoder(list[Position]).decode
decode_stored = msgspec.msgpack.Decoder(list[Stored]).decode
decode_history = msgspec.msgpack.Decoder(HistoryPart).decode
decode_stats = msgspec.msgpack.Decoder(PresenceCounts).decode
decode_names = msgspec.msgpack.Decoder(set[str]).decode
decode_reservation = msgspec.msgpack.Decoder(Reservation).decode
decode_answers = msgspec.msgpack.Decoder(list[bytes]).decode
decode_text = msgspec.msgpack.Decoder(str).decode
decode_presence = msgspec.json.Decoder(dict[str, ClientInfo]).decode
encode_json = msgspec.json.Encoder().encode
decode_info = msgspec.json.Decoder(ClientInfo).decode

_ERRORS: dict[str, type[BrokerError]] = {  # the narrower before the wider
    "unrecoverable": Unrecoverable,
    "no_room": NoRoom,
    "unanswered": Unanswered,
    "unavailable": Unavailable,
}


_number = BinaryStruct(">Q")
_NUMBER = _number.size
NO_ANSWER = 0


def encode_request(number: int, request: Request) -> bytes:
    """Return a request as it travels; `NO_ANSWER` for one that wants none."""
    return _number.pack(number) + encode(request)


def read_request(frame: bytes) -> tuple[int, memoryview]:
    """Return the number of a request, and what `decode_request` makes a request of.

    Raises:
        ValueError: it has no number.
    """
    if len(frame) < _NUMBER:
        raise ValueError("a request without a number")
    return _number.unpack_from(frame)[0], memoryview(frame)[_NUMBER:]


def decode_request(body: memoryview) -> Request:
    """Return the request.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    request: Request = _decode_request(body)
    return request


# What comes to a worker: one byte that says what it is, and the rest.

OK, FAILED = ord("+"), ord("-")
PUBLISHED, JOINED, LEFT, CONTROL, DEATH, MISSED, ASKED = map(ord, "PJLCDMQ")

_encode = msgspec.msgpack.Encoder().encode
_decode_publication = msgspec.msgpack.Decoder(tuple[str, str, Publication]).decode
_decode_push = msgspec.msgpack.Decoder(tuple[str, bytes]).decode
_head = BinaryStruct(">BQ").pack
_BODY = 1 + _NUMBER


def encode_answer(number: int, body: bytes) -> bytes:
    """Return the answer to a request that was carried out."""
    return _head(OK, number) + body


def encode_failure(number: int, error: BrokerError) -> bytes:
    """Return the answer that says why a request was not carried out."""
    kind = next((kind for kind, each in _ERRORS.items() if isinstance(error, each)), "failed")
    return _head(FAILED, number) + encode(Failed(kind, str(error)))


def read_numbered(frame: bytes) -> tuple[int, bytes]:
    """Return the number and the rest of an answer, a control message or a question.

    Raises:
        ValueError: it has no number.
    """
    if len(frame) < _BODY:
        raise ValueError("no number")
    return _number.unpack_from(frame, 1)[0], frame[_BODY:]


def read_failure(body: bytes) -> BrokerError:
    """Return the error that an answer tells."""
    failed = _decode_failure(body)
    return _ERRORS.get(failed.kind, BrokerError)(failed.text)


def encode_control(number: int, message: bytes) -> bytes:
    """Return a control message as it travels."""
    return _head(CONTROL, number) + message


def encode_death(number: int, push: bytes) -> bytes:
    """Return a leave that tells of a death as it travels; `push` is that leave as `encode_presence_push` makes it."""
    return _head(DEATH, number) + push


def encode_question(survey: int, question: bytes) -> bytes:
    """Return a question of a survey as it travels."""
    return _head(ASKED, survey) + question


def encode_published(channel: str, epoch: str, publication: Publication) -> bytes:
    """Return a publication as it travels."""
    return b"P" + _encode((channel, epoch, publication))


def read_published(frame: bytes) -> tuple[str, str, Publication]:
    """Return channel, epoch and publication."""
    return _decode_publication(memoryview(frame)[1:])


def encode_presence_push(channel: str, push: Joined | Left) -> bytes:
    """Return a join or a leave as it travels."""
    return (b"J" if isinstance(push, Joined) else b"L") + _encode((channel, encode_json(push.info)))


def read_presence_push(frame: bytes) -> tuple[str, Joined | Left]:
    """Return the channel, and the join or the leave."""
    channel, encoded = _decode_push(memoryview(frame)[1:])
    info = decode_info(encoded)
    return channel, Joined(info) if frame[0] == JOINED else Left(info)
