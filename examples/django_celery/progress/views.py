from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from messageflow.integrations.django import mark_position
from progress.models import Job
from progress.tasks import work


def page(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:  # in place of your login: whoever comes is somebody new
        login(request, get_user_model().objects.create_user(secrets.token_hex(8)))
    mark_position(request)  # what is pushed from here on arrives, so the jobs may be read
    jobs = [job.describe() for job in Job.objects.filter(owner=request.user)]
    return render(request, "page.html", {"jobs": jobs})


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    job = Job(owner=request.user)
    job.reach(0)
    work.delay_on_commit(job.pk)
    return HttpResponse(status=202)
