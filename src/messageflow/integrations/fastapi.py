"""FastAPI: as in Starlette, and who is logged in is a dependency.

from messageflow.integrations.fastapi import AsyncRequestFlow, MessageFlow

messageflow = MessageFlow(app, user=current_user)
Messages = Annotated[AsyncRequestFlow, Depends(messageflow.for_request)]

@app.post("/reports")
async def order_report(messages: Messages) -> None:
    await messages.push_current("report/ready", {"id": 7})
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from messageflow.extras import needing
from messageflow.integrations import starlette
from messageflow.integrations.request_flow import AsyncRequestFlow as AsyncRequestFlow
from messageflow.integrations.site import NOBODY, read_name
from messageflow.integrations.starlette import TOKEN_NAME, find_authenticated
from messageflow.publisher.arguments import User

with needing("messageflow.integrations.fastapi", "fastapi"):
    from fastapi import APIRouter, Depends, FastAPI, HTTPException
    from fastapi.routing import APIRoute
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response


class MessageFlow(starlette.MessageFlow):
    """All of `AsyncFlow`, and what it gives an application to do; arguments as in `integrations.starlette`.

    But for `user`: it is a dependency, which FastAPI calls, and returns the name of who is logged in, None for nobody.
    What it raises, such as HTTPException(401), is the answer of the token view too.

    Attributes:
        for_request: the flow of a request, as a dependency: `Depends(messageflow.for_request)`.
        router: for `include_router`, where `init_app` is not used.
    """

    router: APIRouter

    def _make_router(self) -> APIRouter:
        user = self._user if self._user is not None else find_authenticated

        async def for_request(request: HTTPConnection, name: Any = Depends(user)) -> AsyncRequestFlow:
            async def find_user() -> User | None:
                return read_name(name)

            return self._find(request, find_user)

        async def give_token(name: Any = Depends(user)) -> Response:
            return self._respond(read_name(name))

        self.for_request: Any = for_request
        router = APIRouter(lifespan=self.lifespan, route_class=_TokenRoute)
        if self.site.settings.token_path is not None:
            router.add_api_route(self.site.settings.token_path, give_token, name=TOKEN_NAME, include_in_schema=False)
        return router

    def _include(self, app: FastAPI) -> None:  # type: ignore[override]
        app.include_router(self.router)


class _TokenRoute(APIRoute):
    """The token view, which sends nobody elsewhere: a redirect to a page with a form is no token."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_without_redirects(request: Request) -> Response:
            try:
                return await answer(request)
            except HTTPException as error:
                if 300 <= error.status_code < 400:
                    raise HTTPException(401, NOBODY) from error
                raise

        return answer_without_redirects
