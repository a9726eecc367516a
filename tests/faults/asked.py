"""What an application was asked in a run, held against what its pages were told, and against who came and went.

What was told with a receipt was handled once; what was not begun is said not to have been, and everything else is known
to have failed, or not to be known. Of each connection that was let in the end was told, once.

Where a process is killed just as somebody comes or goes, nobody may know of it, or two may tell of it: that is counted,
and forgiven within a moment. So is an end that a gateway takes with it that nobody outlives. By webhook an end is told
again when nobody knows whether it was heard, and what ends while the application is away takes ends along.

Judges what the history says and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from messageflow.core.codes import METHOD_NOT_FOUND, NOT_AVAILABLE, TOO_MANY_REQUESTS
from messageflow.hub.hook_calls import AWAY
from tests.faults.handled import REFUSED
from tests.faults.history import (
    Admitted,
    CameIn,
    Close,
    End,
    FaultStart,
    FaultStop,
    Handled,
    Handling,
    Told,
    ToldFail,
    ToldOk,
    WentOut,
)
from tests.faults.schedule import APPLICATION
from tests.faults.verdicts import Expectations, Findings

NOT_BEGUN = frozenset({TOO_MANY_REQUESTS.code, NOT_AVAILABLE.code, METHOD_NOT_FOUND.code})
"""Errors that say of themselves that no handler has begun."""

GATEWAY_KILLS = frozenset({"gateway_kill", "gateway_kill_at", "gateway_drain_cut_short", "parent_kill", "workers_kill"})
"""What leaves nobody of a gateway that could tell of an end."""

KILLS = GATEWAY_KILLS | {"worker_kill", "parent_files"}
MOMENT = 2_000_000_000
"""Nanoseconds around a coming or a going in which a kill may leave it untold, or told by two."""

Asking = (
    Told | ToldOk | ToldFail | Handling | Handled | CameIn | WentOut | Admitted | Close | End | FaultStart | FaultStop
)


@dataclass(slots=True)
class Order:
    """One emit: when it was told, what for, how often it was begun and ended, when first, and what its teller heard."""

    told: int
    wish: str
    begun: list[int] = field(default_factory=list)
    ended: int = 0
    receipt: bool = False
    error: ToldFail | None = None
    turned_away: bool = False


@dataclass(slots=True)
class Connection:
    """One connection: when it was let in, when its client knew, and closed it; when its end was told."""

    came: int
    admitted: int = 0
    closed: int = 0
    went: list[int] = field(default_factory=list)


class Asked:
    """What an application was asked in one run.

    Args:
        expected: what the run must hold.
        findings: takes what is found.
    """

    def __init__(self, expected: Expectations, findings: Findings) -> None:
        self._expected = expected
        self._findings = findings
        self._orders: dict[tuple[str, int], Order] = {}
        self._connections: dict[str, Connection] = {}
        self._clients: dict[str, str] = {}  # of each process, as it knows it
        self._acting: dict[int, FaultStart] = {}
        self._kills: list[tuple[str, int, int]] = []
        self._drains: list[tuple[int, int]] = []
        self._away: list[tuple[int, int]] = []

    def take(self, event: Asking) -> None:
        """Note what happened."""
        match event:
            case Told():
                self._orders[event.process, event.number] = Order(event.at, event.wish)
            case ToldOk():
                self._orders[event.process, event.number].receipt = True
            case ToldFail():
                self._fail(event)
            case Handling() | Handled():
                self._handle(event)
            case CameIn():
                self._connections.setdefault(event.client, Connection(event.at))
            case WentOut():
                self._go(event)
            case Admitted():
                self._clients[event.process] = event.client
                self._find(event.client, event.at).admitted = event.at
            case Close() | End():
                if client := self._clients.pop(event.process, None):
                    self._find(client, event.at).closed = event.at
            case FaultStart():
                self._acting[event.fault] = event
            case FaultStop():
                self._note_fault(event)

    def _find(self, client: str, at: int) -> Connection:
        """Return a connection; without hooks, or where its handler has not said so, it begins when it is first seen."""
        return self._connections.setdefault(client, Connection(at))

    def _note_fault(self, event: FaultStop) -> None:
        start = self._acting.pop(event.fault, None)
        began = start.at if start is not None else event.at
        if event.kind in KILLS:
            self._kills.append((event.kind, began, event.at))
        elif event.kind == "gateway_drain":
            self._drains.append((began, event.at))
        elif event.kind in APPLICATION:
            self._away.append((began, event.at))

    # What was told

    def _handle(self, event: Handling | Handled) -> None:
        order = self._orders.get((event.teller, event.number))
        if order is None:
            self._findings.add("phantom", f"{event.process} was asked for {event.teller} {event.number}, never told")
        elif isinstance(event, Handling):
            order.begun.append(event.at)
        else:
            order.ended += 1

    def _fail(self, event: ToldFail) -> None:
        order = self._orders[event.process, event.number]
        if event.last:
            order.error = event
        else:
            order.turned_away = True
        not_begun = event.code in NOT_BEGUN or (event.code, event.reason) == (AWAY.code, AWAY.message)
        if not_begun and order.begun:
            text = f"{event.process} {event.number} was begun, and told {event.code} {event.reason}"
            self._findings.add("phantom", text)

    def judge(self) -> None:
        """Judge the whole."""
        if not self._expected.hooks:
            return
        for (teller, number), order in self._orders.items():
            self._judge_order(f"{teller} {number}", order)
        self._judge_sequence()
        for client, connection in self._connections.items():
            self._judge_connection(client, connection)

    def _judge_order(self, name: str, order: Order) -> None:
        findings, error = self._findings, order.error
        findings.count("told")
        if len(order.begun) > 1:
            findings.add("duplicate", f"{name} was handled {len(order.begun)} times")
        if order.receipt:
            findings.count("told and handled")
            if order.wish in ("refuse", "fail"):
                findings.add("phantom", f"{name} has a receipt, and wished to {order.wish}")
            elif not order.begun or not order.ended:
                findings.add("lost", f"{name} has a receipt and was {'begun' if order.begun else 'never handled'}")
        elif error is None:
            findings.add("stuck", f"{name} never got an answer")
        else:
            findings.count(f"told and answered {error.code}")
            if error.code == REFUSED and (order.wish != "refuse" or not order.begun):
                findings.add("phantom", f"{name} was refused by no handler")

    def _judge_sequence(self) -> None:
        """What one teller told, and has receipts for, was handled in its order, but for what had to be told later.

        While the application is away, and until a gateway looks again, an emit is turned away, and the answer that says
        so may be lost with the link.
        """
        newest: dict[str, tuple[int, int]] = {}
        for (teller, number), order in sorted(self._orders.items()):
            turned_away = order.turned_away or self._was_away(order.told - MOMENT, order.told)
            if not order.receipt or turned_away or not order.begun:
                continue
            before, at = newest.get(teller, (0, 0))
            if order.begun[0] < at:
                self._findings.add("reordered", f"{teller}: {number} was handled before {before}")
            newest[teller] = (number, order.begun[0])

    # Who came and went

    def _go(self, event: WentOut) -> None:
        connection = self._connections.get(event.client)
        if connection is None:
            self._findings.add("phantom", f"the end of {event.client} was told, who was never let in")
        else:
            connection.went.append(event.at)

    def _judge_connection(self, client: str, connection: Connection) -> None:
        findings = self._findings
        findings.count("let in")
        if not connection.went:
            if reason := self._excuse_silence(connection):
                findings.count(f"ends not told: {reason}")
            else:
                findings.add("lost", f"the end of {client}, let in at {connection.came}, was never told")
            return
        findings.count("ends told")
        for first, second in zip(connection.went, connection.went[1:], strict=False):
            if self._expected.hooks == "webhook" and self._was_away(first - MOMENT, second):
                findings.count("ends told again, for nobody knew whether they were heard")
            elif self._was_killed(first - MOMENT, first + MOMENT):
                findings.count("ends told twice around a kill")
            else:
                findings.add("duplicate", f"the end of {client} was told at {first} and at {second}")

    def _excuse_silence(self, connection: Connection) -> str:
        """Return why nobody may have told of an end; empty where nothing excuses it."""
        over = connection.closed or max((stop for _, _, stop in self._kills), default=0)
        if not self._expected.survivors:
            for kind, began, ended in self._kills:
                if kind in GATEWAY_KILLS and ended >= connection.came and began <= over + MOMENT:
                    return "the whole gateway was killed"
        known = connection.admitted or connection.came
        if self._was_killed(connection.came, known + MOMENT):
            return "killed while it came"
        if connection.closed and self._was_killed_after(connection.closed):
            return "killed while it went"
        if not connection.closed and not connection.admitted and self._was_killed(connection.came, over):
            return "killed, and nobody knows when it went"
        if self._expected.hooks == "webhook" and connection.closed and self._died_untold(connection.closed):
            return "the application was away until whoever was to tell it had ended"
        return ""

    def _was_killed(self, since: int, until: int) -> bool:
        return any(began <= until and ended >= since for _, began, ended in self._kills)

    def _was_killed_after(self, closed: int) -> bool:
        """Whether something was killed in the moment after an end, and not with it."""
        return any(closed < began <= closed + MOMENT for _, began, _ in self._kills)

    def _was_away(self, since: int, until: int) -> bool:
        return any(began <= until and ended >= since for began, ended in self._away)

    def _died_untold(self, closed: int) -> bool:
        """Whether the application was away then, and a gateway or a worker ended before it was back."""
        return any(
            began <= closed + MOMENT and ended >= closed - MOMENT and self._had_ended(closed - MOMENT, ended + MOMENT)
            for began, ended in self._away
        )

    def _had_ended(self, since: int, until: int) -> bool:
        return self._was_killed(since, until) or any(began <= until and ended >= since for began, ended in self._drains)
