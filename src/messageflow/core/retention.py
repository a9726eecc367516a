"""How much of a channel is kept, and for how long: by number and by age, as each publication is given it.

`NamespaceOptions.retention` of `core.namespaces` makes it of history_size and history_ttl. `core.stream` keeps to it in
memory, `brokers.embedded.row_index` in the log, `publish.lua` in Redis. Pure; owns no clock.
"""

from __future__ import annotations

from typing import NamedTuple


class Retention(NamedTuple):
    """How much of a channel is kept.

    Args:
        size: publications; 0 keeps none and gives no offsets.
        ttl: seconds.
    """

    size: int
    ttl: float

    @property
    def keeps(self) -> bool:
        return self.size > 0 and self.ttl > 0
