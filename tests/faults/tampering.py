"""Ways to tamper with a good history, and the verdict each deserves.

An edit takes the events of a run and returns others, as a gateway, a nemesis or a producer with one fault would have
written them.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.faults.history import (
    EVERYONE,
    Close,
    Event,
    FaultStart,
    FaultStop,
    Label,
    Memory,
    Misbehaved,
    Position,
    PublishFail,
    PublishOk,
    PublishUnknown,
    Receive,
    Reset,
    Resumed,
    Top,
)
from tests.faults.verdicts import Kind

Edit = Callable[[list[Event]], list[Event]]


def last(events: list[Event], kind: type[Event]) -> int:
    """Return where the last event of a kind stands."""
    return max(place for place, event in enumerate(events) if isinstance(event, kind))


def middle(events: list[Event], kind: type[Event]) -> int:
    """Return where an event in the middle of those of a kind stands."""
    places = [place for place, event in enumerate(events) if isinstance(event, kind)]
    return places[len(places) // 2]


def change(events: list[Event], place: int, **changes: object) -> list[Event]:
    changed = msgspec.structs.replace(events[place], **changes)
    return [*events[:place], changed, *events[place + 1 :]]


def drop_middle(events: list[Event]) -> list[Event]:
    place = middle(events, Receive)
    return events[:place] + events[place + 1 :]


def drop_suffix(events: list[Event]) -> list[Event]:
    """The last publication of a reader that is there to the end, and no `top` that would tell."""
    events = [event for event in events if not isinstance(event, Top)]
    place = last(events, Receive)
    return events[:place] + events[place + 1 :]


def stop_receiving(events: list[Event]) -> list[Event]:
    process = events[last(events, Receive)].process
    half = len(events) // 2
    return [
        event
        for place, event in enumerate(events)
        if place < half or event.process != process or not isinstance(event, Receive)
    ]


def stay_away(events: list[Event]) -> list[Event]:
    process = events[last(events, Receive)].process
    return [*events, Close(at=events[-1].at, process=process, code=3001)]


def throw_out(events: list[Event]) -> list[Event]:
    return change(events, last(events, Close), code=3501)


def swap(events: list[Event]) -> list[Event]:
    """Two publications of one channel, one after the other at one client."""
    place = middle(events, Receive)
    first = events[place]
    assert isinstance(first, Receive)
    for other in range(place + 1, len(events)):
        second = events[other]
        if isinstance(second, Receive) and (second.process, second.channel) == (first.process, first.channel):
            break
    return [*events[:place], second, *events[place + 1 : other], first, *events[other + 1 :]]


def resend(events: list[Event]) -> list[Event]:
    place = middle(events, Receive)
    return [*events[: place + 1], events[place], *events[place + 1 :]]


def reuse_an_offset(events: list[Event]) -> list[Event]:
    """Two clients find different publications at one offset."""
    place = next(place for place, e in enumerate(events) if isinstance(e, Receive) and e.channel == EVERYONE)
    event = events[place]
    assert isinstance(event, Receive)
    assert event.label is not None
    other = next(
        e.label
        for e in events[place + 1 :]
        if isinstance(e, Receive) and e.channel == EVERYONE and e.label is not None and e.label != event.label
    )
    return change(events, place, label=other)


def change_a_tag(events: list[Event]) -> list[Event]:
    place = middle(events, Receive)
    event = events[place]
    assert isinstance(event, Receive)
    return change(events, place, position=event.position._replace(tag="another"))


def invent(events: list[Event]) -> list[Event]:
    place = middle(events, Receive)
    event = events[place]
    assert isinstance(event, Receive)
    return change(events, place, label=Label("nobody", 1, event.channel, EVERYONE))


def make_unreadable(events: list[Event]) -> list[Event]:
    return change(events, middle(events, Receive), label=None)


def name_another_user(events: list[Event]) -> list[Event]:
    place = next(place for place, e in enumerate(events) if isinstance(e, Receive) and e.channel.startswith("#"))
    event = events[place]
    assert isinstance(event, Receive)
    assert event.label is not None
    return change(events, place, label=msgspec.structs.replace(event.label, audience="somebody else"))


def deliver_unasked(events: list[Event]) -> list[Event]:
    return change(events, middle(events, Receive), channel="open:never-asked-for")


def deliver_without_subscription(events: list[Event]) -> list[Event]:
    place = last(events, Close)
    process = events[place].process
    late = next(e for e in events[place:] if isinstance(e, Receive) and e.process == process)
    return [*events[: place + 1], late, *events[place + 1 :]]


def hide_a_reset(events: list[Event]) -> list[Event]:
    place = last(events, Reset)
    event = events[place]
    assert isinstance(event, Reset)
    resumed = Resumed(
        at=event.at, process=event.process, channel=event.channel, since=event.since, position=event.since
    )
    return [*events[:place], resumed, *events[place + 1 :]]


def tell_a_needless_reset(events: list[Event]) -> list[Event]:
    place = next(p for p, e in enumerate(events) if isinstance(e, Resumed) and e.since.offset == e.position.offset)
    event = events[place]
    assert isinstance(event, Resumed)
    reset = Reset(at=event.at, process=event.process, channel=event.channel, since=event.since, position=event.position)
    return [*events[:place], reset, *events[place + 1 :]]


def call_a_stored_one_failed(events: list[Event]) -> list[Event]:
    seen = {e.label.key for e in events if isinstance(e, Receive) and e.label is not None}
    unsure = {(e.process, e.number) for e in events if isinstance(e, PublishUnknown)}
    place, event = next(
        (place, e)
        for place, e in enumerate(events)
        if isinstance(e, PublishOk) and (e.process, e.number) in seen and (e.process, e.number) not in unsure
    )
    failed = PublishFail(at=event.at, process=event.process, number=event.number, error="nobody listens")
    return [*events[:place], failed, *events[place + 1 :]]


def misplace_a_receipt(events: list[Event]) -> list[Event]:
    place = middle(events, PublishOk)
    event = events[place]
    assert isinstance(event, PublishOk)
    return change(events, place, position=Position(event.position.epoch, event.position.offset + 1, "x"))


def move_to_an_unknown_epoch(events: list[Event]) -> list[Event]:
    place = last(events, PublishOk)
    event = events[place]
    assert isinstance(event, PublishOk)
    events = [e for e in events if not (isinstance(e, Receive) and e.label and e.label.number == event.number)]
    place = events.index(event)
    return change(events, place, position=event.position._replace(epoch="an epoch nobody was told of"))


def answer_never(events: list[Event]) -> list[Event]:
    place = last(events, PublishOk)
    return events[:place] + events[place + 1 :]


def forget_a_fault(events: list[Event]) -> list[Event]:
    return [e for e in events if not (isinstance(e, FaultStart | FaultStop) and e.kind == "cut")]


def miss_with_a_fault(events: list[Event]) -> list[Event]:
    return change(events, last(events, FaultStop), fired=0)


def never_end_a_fault(events: list[Event]) -> list[Event]:
    place = last(events, FaultStop)
    return events[:place] + events[place + 1 :]


def swell(events: list[Event]) -> list[Event]:
    return change(events, last(events, Memory), size=100_000_001)


def die(events: list[Event]) -> list[Event]:
    return [*events, Misbehaved(at=events[-1].at, process="campaign", target="gateway", what="died by itself")]


def empty(events: list[Event]) -> list[Event]:
    return []


EDITS: dict[Edit, Kind] = {
    drop_middle: "lost",
    drop_suffix: "lost",
    stop_receiving: "stuck",
    stay_away: "stuck",
    throw_out: "thrown out",
    swap: "reordered",
    resend: "duplicate",
    reuse_an_offset: "divergent",
    change_a_tag: "divergent",
    invent: "phantom",
    call_a_stored_one_failed: "phantom",
    misplace_a_receipt: "divergent",
    make_unreadable: "corrupt",
    name_another_user: "leak",
    deliver_unasked: "leak",
    deliver_without_subscription: "leak",
    hide_a_reset: "silent gap",
    tell_a_needless_reset: "bad reset",
    move_to_an_unknown_epoch: "lost",
    answer_never: "stuck",
    forget_a_fault: "fault not fired",
    miss_with_a_fault: "fault not fired",
    never_end_a_fault: "fault not fired",
    swell: "memory over budget",
    die: "misbehaved",
    empty: "too little",
}
