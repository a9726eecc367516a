"""Surveys: questions to all workers, and the answers of those that give one in time. Never sends anything itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from messageflow.brokers.base import own_task

log = logging.getLogger("messageflow.broker")

SURVEY_SECONDS = 1.0


class SurveyUnderWay:
    """One survey: which workers are still to answer, and what the others said."""

    def __init__(self, awaited: set[str]) -> None:
        self.awaited = awaited
        self.complete = asyncio.Event()
        self.given: list[bytes] = []


class Surveys:
    """The surveys under way."""

    def __init__(self) -> None:
        self._made = 0
        self._open: dict[int, SurveyUnderWay] = {}

    def begin(self, nodes: Iterable[str]) -> int:
        """Begin a survey of these workers, and return its number."""
        self._made += 1
        self._open[self._made] = SurveyUnderWay(set(nodes))
        return self._made

    async def gather(self, number: int) -> list[bytes]:
        """Return the answers once all have answered; one that is silent is not waited for long."""
        survey = self._open[number]
        await own_task()
        try:
            if survey.awaited:
                async with asyncio.timeout(SURVEY_SECONDS):
                    await survey.complete.wait()
        except TimeoutError:
            log.warning("survey_incomplete", extra={"missing": len(survey.awaited)})
        finally:
            del self._open[number]
        return survey.given

    def report(self, number: int, node: str, answer: bytes) -> None:
        """Take a worker's answer."""
        survey = self._open.get(number)
        if survey is not None and node in survey.awaited:
            survey.awaited.discard(node)
            survey.given.append(answer)
            if not survey.awaited:
                survey.complete.set()
