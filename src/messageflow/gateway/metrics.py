"""What `/metrics` shows, in the Prometheus text format: read from plain counters when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from messageflow.api.api_counters import ApiCounters
from messageflow.brokers.broker_counters import FIGURES, UNNAMED
from messageflow.core.counting import list_counters
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.logs import LIMIT
from messageflow.gateway.worker_api import WorkerApi
from messageflow.hub.hub import Hub
from messageflow.hub.session_kinds import count_kinds

CONTENT_TYPE = "text/plain; version=0.0.4"

_BORROWED = "Connections of backends that workers have lent to their parent."
NOTHING_MORE: Mapping[str, int] = {}


class Metrics(Collector):
    """The metrics of one worker."""

    def __init__(self, hub: Hub, api: WorkerApi, admission: Admission) -> None:
        self._hub = hub
        self._api = api
        self._admission = admission
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(self)
        hub.answers[b"metrics"] = self._own

    async def render(self) -> bytes:
        """Return the metrics of all workers as text; of several, each sample says whose it is.

        Raises:
            BrokerError: the other workers cannot be asked.
        """
        answers = sorted(await self._hub.broker.survey(b"metrics\n"))
        if len(answers) == 1:
            return answers[0].partition(b"\n")[2]
        return _joined(answers)

    def _own(self, _: bytes) -> bytes:
        """The metrics of this worker under its number."""
        return self._hub.name.partition("-")[0].encode() + b"\n" + generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        hub, counters = self._hub, self._hub.counters
        yield _gauge("sessions", "Authenticated connections.", len(hub.sessions))
        yield _by_transport(hub)
        yield _gauge("arrivals", "Connections that have not authenticated yet.", len(hub.unauthenticated))
        yield _gauge("users", "Users with a connection.", len(hub.users))
        yield _gauge("channels", "Channels with a subscriber.", len(hub.channels))
        yield _gauge("lagging", "Sessions whose socket is full.", sum(s.paused for s in hub.sessions.values()))
        yield _gauge("stalled", "Sessions whose peer does not take what is written.", len(hub.stalled))
        yield _gauge("buffered_bytes", "Bytes that wait in the buffers of stalled sessions.", hub.stalled.buffered)
        files = self._admission.files
        if files.limit:
            yield _gauge("open_files", "Open files, as last counted, each connection being one.", files.open_files)
            yield _gauge("open_files_limit", "The limit of open files.", files.limit)
            yield _gauge("connections_room", "WebSockets that limit is enough for.", files.for_connections)
        yield from _counted(counters, {"logs_suppressed": LIMIT.suppressed})
        yield from _counted(ApiCounters(self._api.answered, self._api.refused, self._api.over_zeromq))
        yield from _counted(self._admission.counters)
        yield from _counted(hub.recovery_limiter.counters)
        yield from _of_broker(hub.broker.statistics())


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"messageflow_{name}", help_text, value=value)


def _by_transport(hub: Hub) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "messageflow_sessions_by_transport", "Authenticated connections.", labels=["transport", "dialect"]
    )
    for kind, number in count_kinds(hub.sessions.values()).items():
        family.add_metric(kind, number)
    return family


def _counted(room: object, more: Mapping[str, int] = NOTHING_MORE) -> Iterator[Metric]:
    """Yield what a room counts, as it declares it; `more` is what others have counted under the same name."""
    for name, (help_text, label) in list_counters(type(room)):
        found = getattr(room, name)
        if label:
            yield _labelled(name, help_text, label, found)
        else:
            yield CounterMetricFamily(f"messageflow_{name}", help_text, value=found + more.get(name, 0))


def _labelled(name: str, help_text: str, label: str, counts: Mapping[str, int] | Mapping[int, int]) -> Metric:
    family = CounterMetricFamily(f"messageflow_{name}", help_text, labels=[label])
    for key, value in counts.items():
        family.add_metric([str(key)], value)
    return family


def _joined(answers: Sequence[bytes]) -> bytes:
    """Return one text of several workers' metrics."""
    families: dict[str, Metric] = {}
    for answer in answers:
        worker, _, text = answer.partition(b"\n")
        for family in text_string_to_metric_families(text.decode()):
            joined = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                joined.add_sample(sample.name, {**sample.labels, "worker": worker.decode()}, sample.value)
    registry = CollectorRegistry()
    registry.register(_Collected(tuple(families.values())))
    return generate_latest(registry)


def parent_metrics(statistics: Mapping[str, float], calls: ApiCounters, borrowed: int) -> bytes:
    """Return the answer of a parent process, which has the broker of its workers, to the question for metrics.

    Args:
        statistics: of the broker.
        calls: what was answered on connections that workers have lent.
        borrowed: how many of them there are.
    """
    registry = CollectorRegistry()
    found = (*_of_broker(statistics), *_counted(calls), _gauge("borrowed_connections", _BORROWED, borrowed))
    registry.register(_Collected(found))
    ProcessCollector(registry=registry)
    return b"parent\n" + generate_latest(registry)


def _of_broker(statistics: Mapping[str, float]) -> Iterator[Metric]:
    for name, value in statistics.items():
        figure = FIGURES.get(name, UNNAMED)
        if figure.is_total:
            yield CounterMetricFamily(f"messageflow_broker_{name}", figure.help, value=value)
        else:
            yield _gauge(f"broker_{name}", figure.help, value)


class _Collected(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
