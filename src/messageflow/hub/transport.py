"""What the hub needs of a transport: how it frames messages and what it can do, the same for all its connections.

A dialect within a transport is a `FramedEncoder`: what its sessions are written, frames included, encoded once for all
of them. Pure; a new transport is modules of its own, a line in the gateway's table of paths (`gateway.route_table`),
and one in `dialects.table` for each dialect that is spoken there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from messageflow.core.codes import ErrorCode
from messageflow.core.deltas import list_patches
from messageflow.core.exclusion import Identified
from messageflow.core.protocol import Push, Result
from messageflow.core.stream import SECRET, Publication
from messageflow.dialects.base import Dialect, PatchEncoder


class Transport(Protocol):
    """One way to carry messages to a client and, unless it is one-way, back. One object for all its connections."""

    @property
    def name(self) -> str:
        """What it is called where sessions are counted; several that frame differently may share it."""

    @property
    def one_way(self) -> bool:
        """Whether the client cannot say anything once it is connected.

        It answers no ping: whether it is there is told by what its system acknowledges (`Connection.peer_is_gone`).
        """

    @property
    def in_pieces(self) -> bool:
        """Whether frames may follow one another in one write. Otherwise each write is exactly one frame."""

    def framing(self, *, text: bool) -> Callable[[bytes], bytes]:
        """Return what puts a message into a frame; `text` says whether messages are UTF-8."""

    def shared_framing(self, *, text: bool) -> Callable[[bytes], bytes] | None:
        """Return what puts a message for many into a frame that is smaller; None where all are framed alike.

        What is marked secret is never given to it.
        """

    @property
    def probe(self) -> bytes:
        """What the peer answers once it has read up to there, see `Hub.note_read`; empty where nothing is."""

    def ping(self, frame: bytes) -> bytes:
        """Return what is written as a ping: the frame with the dialect's, or a means of its own."""


class Encoding(Protocol):
    """What one batch is written as, for some of the sessions of a channel. Each is one object for all of them."""

    def publications(self, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        """Return what was published in a channel, at least one publication, as one write.

        Args:
            channel: its name.
            publications: these.
            secret: whether the length of what is written must not tell what it is.
        """

    def mixed(self, channel: str, sent: Sequence[Publication | Push]) -> bytes:
        """Return publications with pushes between them as one write; empty for nothing."""


class FramedEncoder:
    """A dialect within the frames of a transport; one for all sessions with both: an `Encoding`, and more.

    Attributes:
        deltas: what those are written who asked for deltas; None where the dialect has none.
        dialect: the language.
        in_pieces: whether what it returns may be joined to one write.
        one_way: whether the client cannot answer.
        ping: as it is written.
        probe: what asks the peer how far it has read; empty where nothing does.
        transport: what the transport is called.
    """

    __slots__ = ("_encoder", "_frame", "deltas", "dialect", "in_pieces", "one_way", "ping", "probe", "transport")

    def __init__(self, dialect: Dialect, transport: Transport) -> None:
        self.dialect = dialect
        self.transport = transport.name
        self.one_way = transport.one_way
        self._encoder = dialect.encoder
        self._frame = transport.framing(text=dialect.is_text)
        self.in_pieces = transport.in_pieces
        self.probe = transport.probe
        self.ping = transport.ping(self._frame(dialect.encoder.ping))
        encoder = dialect.encoder
        self.deltas = DeltaEncoding(self, encoder) if isinstance(encoder, PatchEncoder) else None

    def publications(self, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        encode, frame = self._encoder.publication, self._frame
        if self.in_pieces:
            return b"".join([frame(encode(channel, publication)) for publication in publications])
        return frame(self._encoder.join([encode(channel, publication) for publication in publications]))

    def pushes(self, channel: str, pushes: Sequence[Push]) -> bytes:
        """Return what clients in a channel did not ask for, at least one thing, as one write."""
        return self._write_all([self._encoder.push(channel, push) for push in pushes])

    def mixed(self, channel: str, sent: Sequence[Publication | Push]) -> bytes:
        encoder = self._encoder
        messages = [
            encoder.publication(channel, each) if isinstance(each, Publication) else encoder.push(channel, each)
            for each in sent
        ]
        return self.private(messages)

    def shared(self, publications: Sequence[Publication], messages: Sequence[bytes], *, secret: bool) -> bytes:
        """Return the messages of these publications as one write, see `publications`."""
        return self._write_all(messages)

    def private(self, messages: Sequence[bytes]) -> bytes:
        """Return messages for one session as one write; empty for nothing."""
        return self._write_all(messages) if messages else b""

    def _write_all(self, messages: Sequence[bytes]) -> bytes:
        frame = self._frame
        return b"".join(map(frame, messages)) if self.in_pieces else frame(self._encoder.join(messages))

    def result(self, command_id: int, method: str, result: Result) -> bytes:
        """Return the answer to a command that was carried out."""
        return self._frame(self._encoder.result(command_id, method, result))

    def error(self, command_id: int, error: ErrorCode) -> bytes:
        """Return the answer to a command that was refused."""
        return self._frame(self._encoder.error(command_id, error))


class DeltaEncoding:
    """An `Encoding` for those who asked for deltas.

    Args:
        framed: what its messages are framed by.
        encoder: what its messages are made by.

    Attributes:
        whole: the same where the first publication has to be whole.
    """

    __slots__ = ("_encoder", "_framed", "whole")

    def __init__(self, framed: FramedEncoder, encoder: PatchEncoder, *, lasting: bool = True) -> None:
        self._framed = framed
        self._encoder = encoder
        self.whole = DeltaEncoding(framed, encoder, lasting=False) if lasting else self

    def publications(self, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        """See `Encoding`: the first is whole, whoever it is for."""
        patches = list_patches((each.data, bool(each.flags & SECRET)) for each in publications)
        return self.patched(channel, publications, patches, secret=secret)

    def patched(
        self, channel: str, publications: Sequence[Publication], patches: Sequence[bytes | None], *, secret: bool
    ) -> bytes:
        """Return the same with these patches, None for each that is whole."""
        encode = self._encoder.patch
        messages = [encode(channel, each, patch) for each, patch in zip(publications, patches, strict=True)]
        return self._framed.shared(publications, messages, secret=secret)

    def mixed(self, channel: str, sent: Sequence[Publication | Push]) -> bytes:
        encoder = self._encoder
        return self._framed.private(
            [
                encoder.patch(channel, each, None) if isinstance(each, Publication) else encoder.push(channel, each)
                for each in sent
            ]
        )


class CompressingEncoder(FramedEncoder):
    """One that makes what goes to many smaller, within a transport in pieces."""

    __slots__ = ("_compress",)

    def __init__(self, dialect: Dialect, transport: Transport, compress: Callable[[bytes], bytes]) -> None:
        super().__init__(dialect, transport)
        self._compress = compress

    def publications(self, channel: str, publications: Sequence[Publication], *, secret: bool) -> bytes:
        encode = self._encoder.publication
        messages = [encode(channel, publication) for publication in publications]
        return self.shared(publications, messages, secret=secret)

    def shared(self, publications: Sequence[Publication], messages: Sequence[bytes], *, secret: bool) -> bytes:
        frame, compress = self._frame, self._compress
        each = zip(publications, messages, strict=True)
        return b"".join([(frame if secret or p.flags & SECRET else compress)(message) for p, message in each])


class Member(Identified, Protocol):
    """What a channel needs of a session that listens in it."""

    @property
    def encoder(self) -> FramedEncoder:
        """What makes the bytes it is written."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Hand it bytes."""

    def lose_position(self, channel: str) -> None:
        """The stream does not lead on from where it stands: let it come back and learn what it can have."""


_FRAMED: dict[tuple[Dialect, Transport], FramedEncoder] = {}


def framed(dialect: Dialect, transport: Transport) -> FramedEncoder:
    """Return the encoder of a dialect within a transport, the same for all who have both."""
    found = _FRAMED.get((dialect, transport))
    if found is None:
        compress = transport.shared_framing(text=dialect.is_text)
        found = (
            FramedEncoder(dialect, transport) if compress is None else CompressingEncoder(dialect, transport, compress)
        )
        _FRAMED[dialect, transport] = found
    return found
