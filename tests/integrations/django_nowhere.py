"""The addresses of a Django project that has not included messageflow's."""

from typing import Any

urlpatterns: list[Any] = []
