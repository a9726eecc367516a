"""The parts of one hub that its commands use, each made once by the hub and given to what carries something out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from messageflow.brokers.base import Broker
from messageflow.core.namespaces import Namespaces
from messageflow.core.token_verifier import Verifier
from messageflow.hub.channel_registry import ChannelRegistry
from messageflow.hub.connections_per_user import ConnectionsPerUser
from messageflow.hub.heartbeat import Heartbeat
from messageflow.hub.history_reader import HistoryReader
from messageflow.hub.hook_calls import HookCalls
from messageflow.hub.lagging_sessions import LaggingSessions
from messageflow.hub.presence_changes import PresenceChanges
from messageflow.hub.publish_delay import PublishDelay
from messageflow.hub.reader_probes import ReadProbes
from messageflow.hub.recovery_rate_limiter import RecoveryRateLimiter
from messageflow.hub.revocation_list import RevocationList
from messageflow.hub.runtime import Runtime
from messageflow.hub.session import Session


class SessionRegistry(Protocol):
    """Where sessions come in, and are found from then on.

    Attributes:
        draining: whether nobody comes in any more.
        connecting: sessions whose connect command is being carried out.
    """

    draining: bool
    connecting: int

    def admit(self, session: Session) -> None:
        """A session has proved who it is: from here on it is found by its user."""

    def complete_connect(self, session: Session) -> None:
        """A session has the answer to its connect command: carry out what was decided about it meanwhile, in order."""


@dataclass(frozen=True, slots=True)
class Services:
    """What commands use.

    Args:
        runtime: time, tasks, log, counters, limits.
        broker: publishes, keeps and reads.
        namespaces: the options of every channel.
        verifier: decides which tokens are believed.
        sessions: lets sessions in.
        channels: who is in which channel.
        presence: tells the broker who comes and goes.
        history_reader: reads what sessions missed.
        lagging: serves those that are behind.
        recovery_limiter: how fast history is given out to those who recover.
        reply_limiter: how fast it is given out to those who ask.
        publish_delay: holds up publishers of channels that are read too slowly.
        read_probes: how far crowds have read.
        heartbeat: looks at expiries.
        connections_per_user: how many connections a user may have.
        revocation_list: which tokens are revoked.
        hooks: what the application decides.
    """

    runtime: Runtime
    broker: Broker
    namespaces: Namespaces
    verifier: Verifier
    sessions: SessionRegistry
    channels: ChannelRegistry
    presence: PresenceChanges
    history_reader: HistoryReader
    lagging: LaggingSessions
    recovery_limiter: RecoveryRateLimiter
    reply_limiter: RecoveryRateLimiter
    publish_delay: PublishDelay
    read_probes: ReadProbes
    heartbeat: Heartbeat
    connections_per_user: ConnectionsPerUser
    revocation_list: RevocationList
    hooks: HookCalls
