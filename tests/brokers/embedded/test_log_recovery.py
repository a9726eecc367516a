"""What a start makes of the rows it finds."""

from __future__ import annotations

from pathlib import Path

from messageflow.brokers.base import Stored
from messageflow.brokers.embedded.log import StreamLog
from messageflow.brokers.embedded.log_recovery import recover_log
from messageflow.brokers.embedded.rows import make_rows
from messageflow.core.idempotency import IdempotencyWindow
from messageflow.core.stream import Position, Publication, Stream, chain
from messageflow.core.stream_table import StreamTable
from messageflow.testing.broker_suite import KEPT


def test_rows_that_were_to_be_dropped_do_not_come_back(tmp_path: Path) -> None:
    log, tags = StreamLog(tmp_path / "log", synced=False), [""]
    stream = Stream("e", size=KEPT.size, ttl=KEPT.ttl)
    for offset in (1, 2, 3):
        tags.append(chain(tags[-1], b"%d" % offset))
        publication = Publication(offset, tags[-1], float(offset), b"%d" % offset)
        log.append(make_rows([(offset, "x", stream, publication, KEPT, "")]))
    log.drop([1], [2], 5.0)  # the process ended between two slices: 2 is still there, below the floor
    streams = StreamTable(lambda: "another", memory=1 << 20)
    stored: IdempotencyWindow[Stored] = IdempotencyWindow(ttl=600, size=10)
    found = recover_log(log, streams, stored, "os")
    assert found.garbage == [2]
    assert streams.position("x") == Position("e", 3, tags[3])
    log.close()
