"""Which variables of the environment are an application's, with `MESSAGEFLOW_` in front, and no gateway's.

Under `messageflow run` both have one environment, where a gateway refuses what it does not know.
"""

from __future__ import annotations

APPLICATION_VARIABLES = frozenset(
    {"URL", "TIMEOUT", "TOKEN_TTL", "TOKEN_PATH", "SCRIPT_URL", "HOOKS_PATH", "REVOKE_ON_LOGOUT"}
)
