"""What one would write first, to be measured beside the product: a DRF endpoint that inserts a report by the ORM.

A WSGI application over the product's own tables: it checks the names with a serializer, looks them up, makes the same
pseudonyms, and commits one row. It counts nothing, limits nobody and signs no receipt.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outagemap.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from reports.intake import guard, inbox  # noqa: E402
from reports.models import Problem, Region, Report, Service  # noqa: E402


class ReportSerializer(serializers.Serializer[Any]):
    service = serializers.SlugRelatedField(slug_field="slug", queryset=Service.objects.all())
    region = serializers.SlugRelatedField(slug_field="code", queryset=Region.objects.all())
    kind = serializers.ChoiceField(choices=["down", "working"], default="down")
    problem = serializers.SlugField(required=False, allow_null=True)


class ReportView(APIView):
    def post(self, request: Request) -> Response:
        said = ReportSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        data = said.validated_data
        now = datetime.now(UTC)
        address, client = guard.request_client(request)  # type: ignore[arg-type]  # it passes all on to Django's
        who = guard.pseudonyms(address, client=client, keys=guard.known_secrets(now) or guard.read_secrets(now))
        report = Report.objects.create(
            id=inbox.report_id(now),
            received_at=now,
            service=data["service"],
            region=data["region"],
            kind=["down", "working"].index(data["kind"]),
            problem=Problem.objects.filter(
                category_id=data["service"].category_id, slug=data.get("problem") or ""
            ).first(),
            person=who.person,
            network=who.network,
            counted=True,
        )
        return Response({"id": str(report.id), "service": data["service"].slug}, status=202)


urlpatterns = [path("api/v1/reports/", ReportView.as_view())]
# As few as a site can do with.
settings.MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
settings.ROOT_URLCONF = __name__
application = get_wsgi_application()
