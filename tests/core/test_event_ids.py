"""Ids of events: whatever is cut off, the last id says where each channel stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.event_ids import EventId, EventIds, channel_key, write_beginning, write_start, write_step
from messageflow.core.stream import Position
from messageflow.dialects.event_source import write_event

EPOCH = "Pn3_-xY.z01"


def read_ids(data: bytes) -> list[str]:
    """Return the ids of the events, as an EventSource keeps them."""
    assert data.endswith(b"\n\n")
    found = []
    for event in data.decode().split("\n\n")[:-1]:
        found += [line.removeprefix("id: ") for line in event.split("\n") if line.startswith("id: ")][-1:]
    return found


def test_a_key_is_the_same_everywhere_and_fits_into_an_id() -> None:
    assert channel_key("#alice") == b"0FCEioDN"
    assert len({channel_key(f"news:{n}") for n in range(1000)}) == 1000
    assert all(len(channel_key(f"news:{n}")) == 8 for n in range(100))


def test_an_id_speaks_of_every_channel() -> None:
    ids = EventIds(b"proof")
    begin = b":" + write_beginning("a", Position(EPOCH, 4, "t4")) + write_beginning("b", Position(EPOCH, 0)) + b"\n\n"
    [first] = read_ids(ids.complete_each(begin))
    [second] = read_ids(ids.complete(write_event(b"1", event_id=write_step("b", 1, "t1"))))
    assert (EventId(first).find("a"), EventId(first).find("b")) == (Position(EPOCH, 4, "t4"), Position(EPOCH, 0))
    assert (EventId(second).find("a"), EventId(second).find("b")) == (
        Position(EPOCH, 4, "t4"),
        Position(EPOCH, 1, "t1"),
    )
    assert EventId(second).find("c") is None
    assert EventId(second).proof == "proof"


def test_several_publications_in_one_write_have_an_id_each() -> None:
    ids = EventIds(b"")
    ids.complete_each(b":" + write_beginning("a", Position(EPOCH, 0)) + b"\n\n")
    data = b"".join(write_event(b"%d" % n, event_id=write_step("a", n, f"t{n}")) for n in (1, 2, 3))
    found = [EventId(each).find("a") for each in read_ids(ids.complete(data))]
    assert found == [Position(EPOCH, n, f"t{n}") for n in (1, 2, 3)]


def test_what_was_written_to_all_is_completed_for_each_reader_of_it() -> None:
    alice, bob = EventIds(b"alice"), EventIds(b"bob")
    bob.complete_each(b":" + write_beginning("b", Position(EPOCH, 9, "t9")) + b"\n\n")
    for reader in (alice, bob):
        reader.complete_each(b":" + write_beginning("a", Position(EPOCH, 0)) + b"\n\n")
    first, second = (write_event(b"1", event_id=write_step("a", n, f"t{n}")) for n in (1, 2))
    for event, position in ((first, Position(EPOCH, 1, "t1")), (second, Position(EPOCH, 2, "t2"))):
        of_alice, of_bob = (EventId(*read_ids(reader.complete(event))) for reader in (alice, bob))
        assert (of_alice.proof, of_alice.find("a"), of_alice.find("b")) == ("alice", position, None)
        assert (of_bob.proof, of_bob.find("a"), of_bob.find("b")) == ("bob", position, Position(EPOCH, 9, "t9"))


def test_what_has_no_position_has_no_id() -> None:
    ids = EventIds(b"p")
    assert ids.complete(b"data: 1\n\n") == b"data: 1\n\n"


def test_data_that_looks_like_an_id_stays_what_it_is() -> None:
    ids = EventIds(b"p")
    ids.complete_each(b":" + write_beginning("a", Position(EPOCH, 0)) + b"\n\n")
    step = write_step("a", 1, "t")
    data = b'"x"' + step + b"\r" + step + b"\r\nid: =" + channel_key("a")
    event = write_event(data, event_id=step)
    assert [EventId(each).find("a") for each in read_ids(ids.complete(event))] == [Position(EPOCH, 1, "t")]
    assert ids.complete(event).count(b"\nid: ") == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=20), st.data())
def test_wherever_a_stream_is_cut_its_last_id_is_what_was_read(
    flushes: list[tuple[str, int]], data: st.DataObject
) -> None:
    ids = EventIds(b"p")
    begin = b":" + b"".join(write_beginning(name, Position(EPOCH, 0)) for name in "abc") + b"\n\n"
    written = ids.complete_each(begin)
    at = dict.fromkeys("abc", 0)
    truth = [dict(at)]
    for channel, count in flushes:
        events = b""
        for _ in range(count):
            at[channel] += 1
            truth.append(dict(at))
            events += write_event(b"1", event_id=write_step(channel, at[channel], f"t{at[channel]}"))
        written += ids.complete(events)
    cut = written[: data.draw(st.integers(0, len(written)))]
    whole = cut[: cut.rfind(b"\n\n") + 2] if b"\n\n" in cut else b""
    if not whole:
        return
    read = read_ids(whole)
    last = EventId(read[-1])
    assert {name: (last.find(name) or Position("", -1)).offset for name in "abc"} == truth[len(read) - 1]


@given(st.text(max_size=200))
def test_any_text_is_an_id_or_none(text: str) -> None:
    found = EventId(text)
    assert found.find("a") is None
    assert not found.is_read or "," in text


def test_what_is_none_of_ours_tells_nothing() -> None:
    good = f"p,{channel_key('a').decode()}:{EPOCH}:1:t"
    assert EventId(good).is_read
    for text in (
        "",
        "7",
        "p",
        "p,",
        good + ",",
        good.replace(":1:", ":-1:"),
        good.replace(":1:", ":" + "9" * 20 + ":"),
    ):
        assert not EventId(text).is_read, text
        assert EventId(text).proof == ""


def test_who_has_had_no_stream_yet_may_say_where_it_begins() -> None:
    positions = {"#alice": Position(EPOCH, 7, "t7"), "news": Position(EPOCH, 0)}
    started = EventId(write_start(positions))
    assert started.is_read
    assert started.proof == ""
    assert {name: started.find(name) for name in positions} == positions
    assert not EventId(write_start({})).is_read
