"""Who is let in: one place that every endpoint asks, and that counts and logs what it turned away.

Knows how many there are, which pages may come, which proxies are believed, and whether the gateway ends. Owns no
connection but those that were told to leave; answering is the endpoint's.
"""

from __future__ import annotations

import http
import logging
import random
from collections.abc import Callable, Mapping, Sequence

from messageflow.core.handshake_headers import NO_HEADERS, ShownHeaders
from messageflow.dialects.base import Dialect
from messageflow.gateway import refusal_log
from messageflow.gateway.front_door.admission_counters import AdmissionCounters
from messageflow.gateway.front_door.admission_limits import AdmissionLimits
from messageflow.gateway.front_door.file_room import FileRoom
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.handshake import origin_of
from messageflow.gateway.origins import Origins
from messageflow.gateway.proxies import Forwarded, Proxies, trace_forwarded
from messageflow.hub.connection import Connection
from messageflow.hub.hub import Hub
from messageflow.hub.session import Session

LONGEST_RETRY = 5  # seconds: those who were refused together come back at different times

NOTHING_SHOWN = ShownHeaders(())
NO_LIMITS = AdmissionLimits(connections_limit=0, arrivals_limit=0)

Headers = Sequence[tuple[bytes, bytes]]
Fields = Mapping[bytes, bytes]


class Admission:
    """What decides who is let in.

    Args:
        hub: where sessions begin.
        origins: the pages that may connect.
        proxies: those whose X-Forwarded headers are believed.
        tls: whether the port itself speaks TLS.
        tls_terminated: whether a proxy in front ends TLS, so that pages come from https.
        limits: how many may be open, and how many coming in.
        files: how many there is room for.
        shown_headers: those of a handshake that the application sees.
        choose: returns a whole number from the first to the second, another with each call.

    Attributes:
        counters: of what is turned away.
        secure: whether what comes straight to us came over TLS, as far as a visitor's browser is concerned.
        leaving: the connections that were told to end and are not gone yet.
    """

    def __init__(
        self,
        hub: Hub,
        origins: Origins,
        proxies: Proxies,
        *,
        tls: bool = False,
        tls_terminated: bool = False,
        limits: AdmissionLimits = NO_LIMITS,
        files: FileRoom | None = None,
        shown_headers: ShownHeaders = NOTHING_SHOWN,
        choose: Callable[[int, int], int] = random.randint,
    ) -> None:
        self.hub = hub
        self.origins = origins
        self.proxies = proxies
        self.tls = tls
        self.tls_terminated = tls_terminated
        self.secure = tls or tls_terminated
        self.limits = limits
        self._shown_headers = shown_headers
        self.files = files or FileRoom()
        self._choose = choose
        self.leaving: set[Connection] = set()
        self.counters = AdmissionCounters()

    @property
    def full(self) -> bool:
        """Whether no more connections are taken."""
        if self.hub.draining:
            return True
        return bool(self.limits.connections_limit) and self.open_connections >= self.limits.connections_limit

    @property
    def open_connections(self) -> int:
        """How many connections that stay are open, before their session, in it and after it."""
        return len(self.hub.sessions) + len(self.hub.unauthenticated) + len(self.leaving)

    @property
    def is_short_of_files(self) -> bool:
        """Whether open files are left for other than WebSockets alone."""
        return self.open_connections >= self.files.websockets_limit

    @property
    def busy(self) -> bool:
        """Whether more are coming in than should be served at once; those beyond do better to come a little later."""
        most = self.limits.arrivals_limit
        return bool(most) and len(self.hub.unauthenticated) + self.hub.connecting >= most

    def trace(self, peer: str, fields: Fields, *, secure: bool) -> Forwarded:
        """Return where a request came from.

        Args:
            peer: the address at the other end of the socket.
            fields: of its head.
            secure: whether it came over TLS, unless a trusted proxy knows better.
        """
        return trace_forwarded(peer, secure, fields, self.proxies)

    def refuse_flood(self, peer: str) -> HttpResponse | None:
        """Return what is answered to somebody who wants to stay while there is no room; None where there is."""
        hub, limits = self.hub, self.limits
        coming = len(hub.unauthenticated)
        there = len(self.leaving) + coming + len(hub.sessions)
        if (
            there < self.files.websockets_limit
            and not hub.draining
            and not 0 < limits.connections_limit <= there
            and not 0 < limits.arrivals_limit <= coming + hub.connecting
        ):
            return None  # one look in the place of five, which are for those who are not let in (benchmarks: connect)
        return self._find_no_room(peer)

    def _find_no_room(self, peer: str) -> HttpResponse | None:
        if self.full:
            self.counters.refused_full += 1
            refusal_log.log_full(self.hub, peer, self.limits.connections_limit)
            return _unavailable(1)
        if self.is_short_of_files:
            self.files.reckon()  # with who has come and gone since the last look
            if self.is_short_of_files and not self.files.can_be_made:
                self.counters.refused_files += 1
                refusal_log.log_files(self.hub, peer, self.files.limit)
                return _unavailable(self._choose(1, LONGEST_RETRY))
        if self.busy:
            self.counters.refused_busy += 1
            refusal_log.log_busy(self.hub, peer, self.limits.arrivals_limit)
            return _unavailable(self._choose(1, LONGEST_RETRY))
        return None

    def answers_to(self, fields: Fields, came: Forwarded) -> bool:
        """Return whether a request is for a host of ours; one that is not is counted and logged."""
        if self.origins.answer_to(came.host):
            return True
        self.refuse_origin(origin_of(fields), came)
        return False

    def show_headers(self, headers: Headers, origin: str | None, came: Forwarded) -> Mapping[str, str]:
        """Return what the application sees of a handshake: nothing where it is asked nothing."""
        if not self.hub.hooks.any:
            return NO_HEADERS
        own = origin is None or self.origins.is_own(origin, came.host, came.secure)
        return self._shown_headers.select(headers, own=own)

    def refuse_origin(self, origin: str | None, came: Forwarded) -> None:
        """Count and log that a page, or any page on a name that leads here, may not connect."""
        self.counters.refused_origins += 1
        refusal_log.log_origin(self.hub, self.origins, origin, came)

    def count_slow(self, *, handshake: bool) -> None:
        """Count a request head, or a TLS handshake, that took too long."""
        if handshake:
            self.counters.slow_handshakes += 1
        else:
            self.counters.slow_heads += 1

    def note_crowd(self, *, refused: bool) -> None:
        """Count and log that a connection was ended, or not let in, so that others can be answered."""
        if refused:
            self.counters.refused_files += 1
        else:
            self.counters.evicted_requests += 1
        refusal_log.log_crowd(self.hub, self.files.limit, refused=refused)

    def enter(self, connection: Connection, dialect: Dialect) -> Session | None:
        """Begin the session of a connection, None where its address has too many that have not authenticated."""
        session = self.hub.accept(connection, dialect)
        if session is None:
            self.hub.log_limited(logging.WARNING, "too_many_unauthenticated", address=connection.address)
        return session


def _unavailable(seconds: int) -> HttpResponse:
    return HttpResponse(http.HTTPStatus.SERVICE_UNAVAILABLE, [(b"Retry-After", b"%d" % seconds)])
