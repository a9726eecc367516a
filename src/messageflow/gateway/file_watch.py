"""Looks now and then at how many files the process has open, and says so before they run out.

Owns a timer. Decides nothing about connections: `front_door.file_room` does; what else is in the process, such as the
application under `run`, takes from the same limit, which is found out here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from messageflow.gateway.front_door.file_room import FileRoom
from messageflow.gateway.open_files import WAY_OUT, count_open, list_open, read_limit

log = logging.getLogger("messageflow.gateway")

LOOK_EVERY, LIST_EVERY = 0.5, 10.0  # seconds; a list costs what there is
LOOK_AGAIN = 0.1  # seconds, while nothing is accepted
CALM = 60.0  # seconds without being near, after which that is said again: a crowd that comes and goes is one


class FileWatch:
    """A look at the open files of this process, again and again.

    Args:
        room: is told.
        pause: accept no more connections; they wait in the kernel.
        resume: accept again.
    """

    def __init__(self, room: FileRoom, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._room = room
        self._pause = pause
        self._resume = resume
        self._is_paused = False
        self._near_at = -CALM  # when it was near, on the event loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._is_cheap = count_open() is not None

    def start(self) -> None:
        """Look from now on, if there is a limit."""
        if self._room.limit:
            self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._read_limit()
        found = count_open() if self._is_cheap else list_open()
        if found is not None:
            self._room.note(found)
        self._warn()
        self._let_accept()
        pause = LOOK_EVERY if self._is_cheap else LIST_EVERY
        self._timer = asyncio.get_running_loop().call_later(LOOK_AGAIN if self._is_paused else pause, self._look)

    def _read_limit(self) -> None:
        """Go by the limit that there is: `prlimit` changes that of a process that runs."""
        before, limit = self._room.limit, read_limit().soft
        if limit != before:
            self._room.change_limit(limit)
            log.warning("open_files_limit_changed", extra={"limit": limit, "before": before})

    def _warn(self) -> None:
        """Say once that it is near, and again only after it was not for a while."""
        room, now = self._room, asyncio.get_running_loop().time()
        if not room.is_near:
            return
        before, self._near_at = self._near_at, now
        if now - before >= CALM:
            log.warning(
                "open_files_near",
                extra={"open": room.open_files, "limit": room.limit, "reserve": room.reserve, "option": WAY_OUT},
            )

    def _let_accept(self) -> None:
        """Accept nothing while nothing can be opened: the event loop would close at once what it accepts.

        libuv gives up a spare descriptor to accept and close all who wait; where that one is lost too, it asks the
        kernel for them without a pause.
        """
        room = self._room
        if room.is_used_up and not self._is_paused:
            self._is_paused = True
            log.error("open_files_used_up", extra={"open": room.open_files, "limit": room.limit, "option": WAY_OUT})
            self._pause()
        elif self._is_paused and room.is_free_again:
            self._is_paused = False
            log.warning("open_files_free_again", extra={"open": room.open_files, "limit": room.limit})
            self._resume()
