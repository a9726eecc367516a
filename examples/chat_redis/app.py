"""A chat through Redis: an ASGI application of one page, run as often as you like, and everybody hears everybody.

What is said comes in over HTTP and goes out with `flow.publish`. Whichever process it came to, all gateways that share
the Redis deliver it.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from messageflow import AsyncFlow

ROOM = "chat:lobby"
LONGEST = 500  # characters of one message

flow = AsyncFlow()


async def page(request: Request) -> FileResponse:
    return FileResponse(Path(__file__).parent / "page.html")


async def token(request: Request) -> JSONResponse:
    """Believe the name that was typed. Put your own authentication in its place."""
    name = request.query_params.get("name", "").strip()[:40] or "somebody"
    return JSONResponse({"token": await flow.token(name, channels=[ROOM])})


async def say(request: Request) -> JSONResponse:
    said = await request.json()
    text = str(said.get("text", "")).strip()[:LONGEST]
    if not text:
        return JSONResponse({"error": "there is nothing to say"}, 400)
    receipt = await flow.publish(ROOM, {"who": str(said.get("who", ""))[:40], "text": text})
    return JSONResponse({"offset": receipt.offset})


app = Starlette(routes=[Route("/", page), Route("/token", token), Route("/say", say, methods=["POST"])])
