"""A small Django project: its settings, its addresses and its views."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import engines
from django.urls import include, path

from tests.support import API_KEY, TOKEN_SECRET

AWAY = "http://127.0.0.1:9"
PAGE = "{% load messageflow %}{% messageflow %}{% messageflow_html 'turbo' channels='jobs news' %}{{ shown }}"
ALLOWED = {"allow": ["news:*"]}


def configure(database: str, **more: Any) -> str:
    """Set Django up, once a process. Returns which database it has."""
    if settings.configured:
        return str(settings.DATABASES["default"]["NAME"])
    settings.configure(
        SECRET_KEY="a key of the project, and long enough for it",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "messageflow.integrations.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database, "OPTIONS": {"timeout": 30}}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        **{"MESSAGEFLOW": {"URL": AWAY, "API_KEY": API_KEY, "TOKEN_SECRET": TOKEN_SECRET}, **more},
    )
    import django

    django.setup()
    return database


def give_options(user: Any) -> dict[str, Any]:
    return ALLOWED


def name_by_username(user: Any) -> str:
    return str(user.username)


def render(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({"shown": "<shown>"}, request))


def page(request: HttpRequest) -> HttpResponse:
    return render(request)


async def async_page(request: HttpRequest) -> HttpResponse:
    if "marked" in request.GET:
        from messageflow.integrations.django import amark_position, async_flow

        await amark_position(request)
        await async_flow.close()  # below the client of the tests a loop is there for one request
    return render(request)


async def blocking_page(request: HttpRequest) -> HttpResponse:
    from messageflow.integrations.django import flow

    return HttpResponse(str(flow.push("alice", "t")))


async def events(request: HttpRequest) -> HttpResponseBase:
    from messageflow.integrations.django import event_stream

    return await event_stream(request, request.headers.get("user"), channels=["news"])


def make_patterns() -> list[Any]:
    from messageflow.integrations.django.views import atoken

    return [
        path("", page),
        path("async", async_page),
        path("blocking", blocking_page),
        path("events", events),
        path("atoken", atoken),
        path("", include("messageflow.integrations.django.urls")),
    ]


def __getattr__(name: str) -> Any:
    """Make the patterns when Django asks: imported first, this has no settings yet."""
    if name == "urlpatterns":
        globals()[name] = patterns = make_patterns()
        return patterns
    raise AttributeError(name)
