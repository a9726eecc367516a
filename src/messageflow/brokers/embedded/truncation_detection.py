"""What the end of the log must be, kept outside of it, so that a log that lost its end is found out.

A page of memory shared with a small file. It is written after every append, without a system call; it outlives the
process, killed or not, though not the machine's power. At the next start the log either still holds what was written
last, or a stream could have lost something.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"mflow-tail-1"
_LAYOUT = Struct("<12s Q 36s Q 16s ? ?")  # magic, which write this is, boot, id, tag, synced, closed
_CHECK = Struct("<I")
PAGE = 4096
SLOT = 256  # two of them, written in turn, so that a kill in the middle of a write leaves the one before
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Mark(NamedTuple):
    """The end of the log.

    Args:
        boot: identifies the run of the operating system that holds what was not synced; empty when that is unknown.
        id: of the newest row; 0 before the first.
        tag: of the newest row.
        synced: every append was synced to disk before this was written.
        closed: the log was closed and synced as a whole.
    """

    boot: str
    id: int = 0
    tag: str = ""
    synced: bool = False
    closed: bool = False

    def proves_whole(self, boot: str) -> bool:
        """Whether nothing can be missing from a log that still ends as this says."""
        return self.closed or self.synced or bool(self.boot and self.boot == boot)


class TailMark:
    """The mark in its file.

    Args:
        path: the file; made when there is none.

    Raises:
        OSError: it cannot be made or mapped.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < PAGE:
                _allocate(descriptor)
            self._page = mmap.mmap(descriptor, PAGE)
            self._writes = 0
        finally:
            os.close(descriptor)

    def read(self) -> Mark | None:
        """Return the newest mark, or None when there is none that is whole."""
        found = [written for written in map(self._slot, (0, SLOT)) if written is not None]
        if not found:
            return None
        self._writes, mark = max(found)
        return mark

    def _slot(self, at: int) -> tuple[int, Mark] | None:
        packed = self._page[at : at + _LAYOUT.size]
        (check,) = _CHECK.unpack_from(self._page, at + _LAYOUT.size)
        magic, writes, boot, number, tag, synced, closed = _LAYOUT.unpack(packed)
        if magic != MAGIC or check != crc32(packed):
            return None
        return writes, Mark(_text(boot), number, _text(tag), synced, closed)

    def write(self, mark: Mark) -> None:
        """Replace the older of the last two marks."""
        self._writes += 1
        at = SLOT * (self._writes % 2)
        boot, number, tag, synced, closed = mark
        packed = _LAYOUT.pack(MAGIC, self._writes, boot.encode(), number, tag.encode(), synced, closed)
        self._page[at : at + _LAYOUT.size + _CHECK.size] = packed + _CHECK.pack(crc32(packed))

    def sync(self) -> None:
        """Bring the mark to disk."""
        self._page.flush()

    def close(self) -> None:
        """Release the file."""
        self._page.close()


def _allocate(descriptor: int) -> None:
    """Make a file as long as a page, with room for it, since a full disk that is found later is a bus error."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, PAGE)
    else:
        os.ftruncate(descriptor, PAGE)


def read_boot_id() -> str:
    """Return what identifies this run of the operating system, or an empty text where it does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()[:36]
    except OSError:
        return ""


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")
