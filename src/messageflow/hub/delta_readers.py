"""The sessions of one channel that asked for deltas: whether each can read a patch, or needs a whole publication first.

A patch leads from the last publication to the next, so it is for those who were sent the last one. Who comes anew, was
left out of something or skipped it is sent one whole first, of which there is one encoding for all of them too.

Owns who can read patches, and what the next one begins from. Never writes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from messageflow.core.deltas import Base, list_live_patches
from messageflow.core.stream import Publication
from messageflow.hub.transport import DeltaEncoding, Encoding, Member


class DeltaReaders:
    """Those of one channel; there is one while it has any."""

    __slots__ = ("_base", "_readers")

    def __init__(self) -> None:
        self._base: Base | None = None
        self._readers: dict[Member, bool] = {}  # whether it has what the next patch begins from

    def __bool__(self) -> bool:
        return bool(self._readers)

    def add(self, session: Member, base: Base | None) -> None:
        """A session comes; `base` is what it was sent last, None where that is not where it stands."""
        if not self._readers:
            self._base = base
        self._readers[session] = base is not None

    def remove(self, session: Member) -> None:
        """A session leaves; one that did not ask for deltas is no error."""
        self._readers.pop(session, None)

    def forget_base(self) -> None:
        """What comes next does not follow what was sent."""
        self._base = None

    def note_written(self, session: Member) -> None:
        """A session is about to be written a batch in its encoding, or has been."""
        if session in self._readers:
            self._readers[session] = True

    def begin_anew(self, session: Member) -> None:
        """A session was not sent all that others were."""
        if session in self._readers:
            self._readers[session] = False

    def encoding_of(self, session: Member) -> Encoding:
        """Return what a session is to be written in now."""
        encoding = self.lasting_encoding_of(session)
        if isinstance(encoding, DeltaEncoding) and not self._readers[session]:
            return encoding.whole
        return encoding

    def lasting_encoding_of(self, session: Member) -> Encoding:
        """Return what a session is written in once it was written anything."""
        encoder = session.encoder
        return encoder.deltas if encoder.deltas is not None and session in self._readers else encoder

    def encode(
        self,
        channel: str,
        publications: Sequence[Publication],
        encodings: Collection[Encoding],
        *,
        secret: bool,
        always: bool,
    ) -> dict[Encoding, bytes]:
        """Return the batch of a flush as all sessions are written it, see `Encoding.publications`.

        Args:
            channel: its name.
            publications: what is in it.
            encodings: those in use, as `lasting_encoding_of` has them.
            secret: see there.
            always: whether also those are patches that were not published to be.
        """
        patches, self._base = list_live_patches(self._base, publications, always=always)
        some_begin = not all(self._readers.values())
        batches: dict[Encoding, bytes] = {}
        for each in encodings:
            if not isinstance(each, DeltaEncoding):
                batches[each] = each.publications(channel, publications, secret=secret)
                continue
            batches[each] = each.patched(channel, publications, patches, secret=secret)
            if patches[0] is None:
                batches[each.whole] = batches[each]
            elif some_begin:
                batches[each.whole] = each.whole.patched(channel, publications, [None, *patches[1:]], secret=secret)
        return batches
