"""The two addresses of a project that messageflow answers: the token of a page, and the webhook of a gateway elsewhere.

Below WSGI and below ASGI; neither asks for a login or a token against forged forms, since nobody is a 401 here, and
gateways sign.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from messageflow.errors import ConfigurationError
from messageflow.integrations.django.logins import name_user
from messageflow.integrations.django.project_flow import find_project

NO_LOGIN = (
    "messageflow cannot tell who is logged in: add django.contrib.auth.middleware.AuthenticationMiddleware to "
    "MIDDLEWARE, or set MESSAGEFLOW_TOKEN_PATH to None where the project has a token view of its own"
)


@transaction.non_atomic_requests  # type: ignore[untyped-decorator]
def token(request: HttpRequest) -> HttpResponse:
    """Answer with a token for who is logged in; nobody gets 401, never a redirect."""
    if not hasattr(request, "user"):
        raise ConfigurationError(NO_LOGIN)
    return _answer(request.user)


@transaction.non_atomic_requests  # type: ignore[untyped-decorator]
async def atoken(request: HttpRequest) -> HttpResponse:
    """As `token`, without a thread of its own in an application that is async throughout."""
    if not hasattr(request, "auser"):
        raise ConfigurationError(NO_LOGIN)
    return _answer(await request.auser())


def _answer(user: Any) -> HttpResponse:
    name, project = name_user(user), find_project()
    find_options = project.settings.token_options
    options = None if name is None or find_options is None else find_options(user)
    answer = project.site.answer_token(name, options)
    return JsonResponse(answer.body, status=answer.status, headers=answer.headers)


@csrf_exempt  # type: ignore[untyped-decorator]
@transaction.non_atomic_requests  # type: ignore[untyped-decorator]
def hooks(request: HttpRequest) -> HttpResponse:
    """Let a gateway elsewhere ask the handlers of this project."""
    response = HttpResponse()

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        response.status_code = int(status.partition(" ")[0])
        for name, value in headers:
            response[name] = value

    response.content = b"".join(find_project().site.webhook.wsgi({**request.META, "wsgi.input": request}, start))
    return response


for view in (token, atoken, hooks):
    view.login_required = False
