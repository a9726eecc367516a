from __future__ import annotations

import time

from celery import shared_task

from progress.models import Job


@shared_task
def work(number: int) -> None:
    job = Job.objects.get(pk=number)
    for percent in range(5, 101, 5):
        time.sleep(0.15)  # in place of your work
        job.reach(percent)
