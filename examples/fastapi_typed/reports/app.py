"""A FastAPI application that pushes objects of classes, and is asked by them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import defaultdict
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware

from messageflow import Event
from messageflow.integrations.fastapi import MessageFlow
from reports.messages import ReportFailed, ReportReady, ReportsAsked

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="yours; this one signs the cookie that gives each visitor a name")
app.mount("/static", StaticFiles(directory="static"))
templates = Jinja2Templates("templates")


def visitor(request: Request) -> str:
    name: str = request.session.setdefault("user", secrets.token_hex(8))  # in place of your login
    return name


Visitor = Annotated[str, Depends(visitor)]
messageflow = MessageFlow(app, user=visitor, templates=templates)
numbers = itertools.count(1)
reports: defaultdict[str, list[ReportReady]] = defaultdict(list)  # in place of your database


class Order(BaseModel):
    title: str = Field(min_length=1, max_length=80)


@app.get("/")
async def page(request: Request, user: Visitor) -> HTMLResponse:
    return templates.TemplateResponse(request, "page.html")


@app.post("/reports", status_code=202)
async def order_report(order: Order, user: Visitor, later: BackgroundTasks) -> None:
    later.add_task(write_report, user, order.title)


async def write_report(user: str, title: str) -> None:
    await asyncio.sleep(1)  # in place of the work
    if " " not in title.strip():
        await messageflow.push(user, ReportFailed(title=title, reason="one word is no title"))
        return
    report = ReportReady(id=next(numbers), title=title, words=100 * len(title))
    reports[user].append(report)
    await messageflow.push(user, report)


@messageflow.rpc(ReportsAsked)
async def find_reports(event: Event[ReportsAsked]) -> list[ReportReady]:
    asked = event.data.contains.casefold()
    return [report for report in reports[event.user] if asked in report.title.casefold()]
