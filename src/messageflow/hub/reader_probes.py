"""How far a crowd has really read: pings behind what was written to a few of its readers, whose pongs say that it was.

What lies in a reader's kernel is acknowledged, and Linux lets that grow to 900 KiB while the reader is slow: of a crowd
that is seconds behind, sockets tell nothing. So a few readers of each crowd are asked, at random, and from what they
read between two answers follows what they still have before them, in seconds of their own reading.

Who never answers is never waited for, and who stops to is given up after `SILENT`. A link that is long is not taken for
a reader that is slow: what the quickest answer took does not count.

Owns who is asked, and what they answered. Never holds up anybody (`hub.publish_delay` does).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from messageflow.hub.backlog import count_shared
from messageflow.hub.channel import Channel
from messageflow.hub.reader_sample import CROWD, UNLIMITED, ReadSample, SampledReader
from messageflow.hub.runtime import Runtime
from messageflow.hub.transport import Member

SAMPLE = 16  # readers that are asked, at most one of as many
SOON = 8  # the part of what may be before a reader, with which it is asked again at once
SILENT = 5.0  # seconds without an answer, after which a reader is given up


class ReadProbes:
    """What is known of the readers of the crowded channels of one hub.

    Args:
        runtime: clock, counters and limits.

    Attributes:
        crowds: the channels; never another object.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._clock: Callable[[], float] = runtime.clock
        self._counters = runtime.counters
        self._most = runtime.limits.readers_behind
        self._some = self._most / SOON
        self.crowds: dict[Channel, None] = {}
        self._asked: dict[Member, tuple[Channel, SampledReader]] = {}  # who has not answered yet

    def __bool__(self) -> bool:
        return bool(self.crowds)

    def begin(self, channel: Channel) -> None:
        """A channel has come to have a crowd: count what is written to it from now on."""
        if self._most and channel.sample is None:
            self.crowds[channel] = None
            channel.begin_sample()

    def follow(self, channel: Channel) -> None:
        """A crowd was just written to: ask those of it who are due."""
        self.begin(channel)
        sample, now = channel.sample, self._clock()
        if sample is None:
            return
        if sample.is_new:
            sample.begin_asking(now)
            self._fill(channel, sample, 0)
        for reader in sample.readers:
            if reader.is_due(sample.written, self._some, now):
                self._ask(channel, sample, reader)

    def ask_again(self, channel: Channel) -> None:
        """Somebody waits for the crowd: ask whoever has anything before them, as far as is known."""
        sample = channel.sample
        for reader in sample.readers if sample is not None else ():
            if sample is not None and sample.written > reader.read:
                self._ask(channel, sample, reader)

    def note_read(self, session: Member) -> None:
        """A reader has answered."""
        found = self._asked.pop(session, None)
        if found is None:
            return
        (channel, reader), now = found, self._clock()
        self._counters.read_probes_answered += 1
        sample = channel.sample
        if sample is None:
            return
        sample.note_answer(reader, now)
        if reader.is_due(sample.written, self._some, now):
            self._ask(channel, sample, reader)

    def measure_room(self, channel: Channel, most: float) -> float:
        """Return how many bytes more would have half of a crowd read for so long, as far as is known."""
        sample = channel.sample
        if sample is None:
            return UNLIMITED
        return sample.measure_room(most, self._clock(), lambda session: not _is_in(session, channel))

    def count_shared(self) -> int:
        """Return by how much buffers of crowds seem to hold more than they do, see `hub.backlog.count_shared`."""
        return sum(count_shared(channel.sample.recent) for channel in self.crowds if channel.sample is not None)

    def tick(self) -> None:
        """Give up those who have left or do not answer, or stand still behind, and ask others in their place."""
        now = self._clock()
        for channel in tuple(self.crowds):
            sample = channel.sample
            if sample is None:
                continue
            sample.drop_unshared()
            for reader in tuple(sample.readers):
                silent = reader.waited(now) > SILENT
                stands = reader.session in channel.lagging and reader.unheard(now) > SILENT
                if silent or stands or not _is_in(reader.session, channel):
                    self._counters.read_probes_unanswered += silent
                    sample.readers.remove(reader)
                    self._forget(reader)
            if len(channel.live) + len(channel.lagging) < CROWD:
                self._end(channel, sample)
            elif not sample.is_new:
                self._fill(channel, sample, sample.written)

    def _end(self, channel: Channel, sample: ReadSample) -> None:
        for reader in sample.readers:
            self._forget(reader)
        channel.end_sample()
        del self.crowds[channel]

    def _forget(self, reader: SampledReader) -> None:
        if reader.is_asked:
            self._asked.pop(reader.session, None)

    @staticmethod
    def _fill(channel: Channel, sample: ReadSample, read: int) -> None:
        """Choose whom else to ask, of whom is known that they have read so many bytes."""
        live = channel.live
        missing = min(SAMPLE, len(live) // SAMPLE) - len(sample.readers)
        if missing <= 0:
            return
        known = {reader.session for reader in sample.readers}
        for session in random.sample(tuple(live), missing):
            if session not in known and session.encoder.probe:
                sample.readers.append(SampledReader(session, read))

    def _ask(self, channel: Channel, sample: ReadSample, reader: SampledReader) -> None:
        """Ask a reader, unless it has yet to answer, or to be written what the others were."""
        session = reader.session
        if session in self._asked or session not in channel.live or session in channel.unserved:
            return
        self._asked[session] = channel, reader
        self._counters.read_probes += 1
        reader.note_asked(sample.written, self._clock())
        session.write(session.encoder.probe)


def _is_in(session: Member, channel: Channel) -> bool:
    return session in channel.live or session in channel.lagging
