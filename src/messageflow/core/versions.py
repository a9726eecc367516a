"""Versions that an application gives its documents: what is older than what is there need not be published.

Several processes of an application read a document from its database and publish it; whichever was slow would publish
an older one after a newer. Owns how two versions compare, never where the newest of a channel is kept.

Pure. Source: Centrifugo's `version` and `version_epoch` of `publish`.
"""

from __future__ import annotations

from typing import NamedTuple


class Version(NamedTuple):
    """The version of a document. Numbers of different epochs do not compare; an empty epoch is any."""

    number: int
    epoch: str = ""

    def is_outdated(self, newest: Version | None) -> bool:
        """Whether a channel whose newest version this is, None for none, has this or a later one already."""
        return newest is not None and self.number <= newest.number and self.epoch in ("", newest.epoch)
