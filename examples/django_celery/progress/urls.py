from django.urls import include, path

from progress import views

urlpatterns = [
    path("", views.page),
    path("jobs", views.start),
    path("", include("messageflow.integrations.django.urls")),
]
