"""How a gateway is: `/health`, `/ready` and `/metrics`, for load balancers and for those who watch it.

Owns who may see how much. What is in the metrics is `gateway.metrics`'.
"""

from __future__ import annotations

from messageflow.core.codes import INTERNAL, UNAUTHORIZED
from messageflow.errors import BrokerError
from messageflow.gateway.api_endpoint import ApiKey, failure
from messageflow.gateway.front_door.admission import Admission
from messageflow.gateway.front_door.response import HttpResponse
from messageflow.gateway.metrics import CONTENT_TYPE, Metrics
from messageflow.gateway.pages import Asked
from messageflow.gateway.proxies import is_local


class Health:
    """How the gateway is.

    Args:
        admission: knows who asks, and the hub.
        metrics: what `/metrics` shows.
        key: with which all may be seen.
        metrics_public: show metrics to everybody.
    """

    def __init__(self, admission: Admission, metrics: Metrics, key: ApiKey, *, metrics_public: bool = False) -> None:
        self._admission = admission
        self._metrics = metrics
        self._key = key
        self._metrics_public = metrics_public

    def show_health(self, asked: Asked) -> HttpResponse:
        """Say that it lives."""
        return HttpResponse(200, body=b"ok\n")

    def show_readiness(self, asked: Asked) -> HttpResponse:
        """Say whether it should be given work."""
        hub = self._admission.hub
        trouble = "draining" if hub.draining else hub.broker.trouble
        if not trouble:
            return HttpResponse(200, body=b"ready\n")
        # What it is names directories and servers; a load balancer has to know no more than that there is some.
        told = f"{trouble if hub.draining or self._may_look(asked) else 'not ready'}\n"
        return HttpResponse(503, body=told.encode())

    async def show_metrics(self, asked: Asked) -> HttpResponse:
        """Return the metrics of all workers."""
        if not (self._metrics_public or self._may_look(asked)):
            return failure(
                401,
                UNAUTHORIZED,
                "metrics are shown with the API key, sent as X-API-Key, or to all with metrics_public; without them to "
                "programs on this machine that ask for localhost and not through a proxy",
            )
        try:
            return HttpResponse(200, body=await self._metrics.render(), kind=f"{CONTENT_TYPE}; charset=utf-8".encode())
        except BrokerError as problem:
            return failure(503, INTERNAL, f"the other workers cannot be asked: {problem}")

    def _may_look(self, asked: Asked) -> bool:
        """Whether a request comes with the API key, or from this machine."""
        admission, head = self._admission, asked.head
        if self._key.is_in(head.headers):
            return True
        if admission.tls_terminated:  # what comes from this machine then is the proxy
            return False
        return is_local(asked.client[0], head.version, head.headers, admission.proxies)
