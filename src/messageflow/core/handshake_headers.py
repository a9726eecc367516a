"""Headers of a handshake that an application may see: those that are named, and no other.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
