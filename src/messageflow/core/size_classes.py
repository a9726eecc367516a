"""Which streams are large: classes by powers of two, so that one of the largest is found without looking at all.

Pure.
"""

from __future__ import annotations

from messageflow.core.stream import Stream


class SizeClasses:
    """Streams in classes; a class holds those whose cost has as many binary digits. Empty streams are in none."""

    def __init__(self) -> None:
        self._classes: list[dict[Stream, None]] = []

    def changed(self, stream: Stream, before: int) -> None:
        """A stream that did cost `before` costs something else now."""
        old, new = before.bit_length(), stream.cost.bit_length()
        if old == new:
            return
        if old:
            self._classes[old].pop(stream, None)
        if new:
            while len(self._classes) <= new:
                self._classes.append({})
            self._classes[new][stream] = None

    def largest(self) -> Stream | None:
        """Return a stream of which none costs more than twice as much; the longest in its class. None without any."""
        while self._classes and not self._classes[-1]:
            self._classes.pop()
        return next(iter(self._classes[-1])) if self._classes else None
