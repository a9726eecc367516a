"""Names that a platform, not a person, puts into our environment, for a service or container called like us.

Kubernetes tells every container of the services around it, Docker of the containers it is linked to: a service called
`messageflow` becomes `MESSAGEFLOW_SERVICE_HOST`, `MESSAGEFLOW_PORT=tcp://10.0.0.1:8000` and more, one called
`messageflow-redis` the same with `MESSAGEFLOW_REDIS_`. They are no settings, and no misspelt ones either.

Pure. Sources: Kubernetes, "Accessing the Service, environment variables"; Docker, "Legacy container links".
"""

from __future__ import annotations

import re

_NAMES = re.compile(
    r"MESSAGEFLOW_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR|START|END)(_\w+)?)?|ENV_\w+)"
)
_NAMES_BY_VALUE = (
    (re.compile(r"MESSAGEFLOW_(\w+_)?PORT"), re.compile(r"(tcp|udp|sctp)://\S+:\d+")),
    (re.compile(r"MESSAGEFLOW_(\w+_)?NAME"), re.compile(r"/\S+/\S+")),  # /container/alias
)


def is_platforms_own(name: str, value: str) -> bool:
    """Whether a variable was put there by a platform."""
    if _NAMES.fullmatch(name):
        return True
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _NAMES_BY_VALUE)
