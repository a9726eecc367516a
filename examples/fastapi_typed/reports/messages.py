"""What is said between the page and Python; `messageflow types` writes the same for TypeScript."""

from messageflow import Message


class ReportReady(Message):
    id: int
    title: str
    words: int


class ReportFailed(Message):
    title: str
    reason: str


class ReportsAsked(Message):
    contains: str = ""
