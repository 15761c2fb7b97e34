"""The calls of ``/api/v1/``: ask ``reports.status``, hand on what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from reports import clock, status
from reports.api import parameters, schema, serializers
from reports.api.pagination import Key, page
from reports.api.responses import KeptView, OpenView
from reports.api.throttles import EXPORT_COST
from reports.intake import batch, bulk, guard, inbox, submission
from reports.status.answers import RegionLink, ServiceStatus, TimelineLine

Item = TypeVar("Item")
DAY = timedelta(days=1)


def asked(request: Request, shape: type[parameters.Parameters]) -> dict[str, Any]:
    """The valid parameters of the query string. Raises DRF's ``ValidationError``, which names the bad ones."""
    read = shape(data=request.query_params)
    read.is_valid(raise_exception=True)
    return {name: value for name, value in read.validated_data.items() if value is not None}


def past(at: datetime | None, now: datetime) -> datetime | None:
    """The instant that was asked for. Raises DRF's ``ValidationError`` for one that is still to come."""
    if at is not None and at > now:
        raise ValidationError({"at": ["Expected an instant in the past."]})
    return at


def found(answer: Item | None, what: str) -> Item:
    """``answer``, or a 404 that says what there is none of."""
    if answer is None:
        raise NotFound(f"No {what} found.")
    return answer


def paged(
    request: Request,
    results: Sequence[Any],
    *,
    next: str | None,
    previous: str | None,
    asked: Mapping[str, Any],
    shape: type[serializers.Shape[Any]],
) -> dict[str, Any]:
    """One page of a list, with the addresses of its neighbours."""

    def link(cursor: str | None) -> str | None:
        if cursor is None:
            return None
        given = {
            name: _text(value) for name, value in asked.items() if name in request.query_params and name != "cursor"
        }
        query = urlencode({**given, "cursor": cursor})
        return f"{request._request.build_absolute_uri(request.path)}?{query}"

    return {"next": link(next), "previous": link(previous), "results": shape(results, many=True).data}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)


def listed(
    request: Request,
    items: Sequence[Item],
    *,
    key: Callable[[Item], Key],
    asked: Mapping[str, Any],
    shape: type[serializers.Shape[Any]],
) -> dict[str, Any]:
    """One page of a list that is at hand whole, sorted by ``key``."""
    try:
        chosen = page(items, key=key, limit=asked["limit"], cursor=asked.get("cursor"))
    except status.CursorError as error:
        raise ValidationError({"cursor": [str(error)]}) from error
    return paged(request, chosen.results, next=chosen.next, previous=chosen.previous, asked=asked, shape=shape)


# --- services ---------------------------------------------------------------------------------------------------------


def _service_key(service: ServiceStatus) -> Key:
    return service.link.name, service.link.slug


@schema.services
class ServicesView(KeptView):
    """Every service with its present state."""

    def get(self, request: Request) -> HttpResponseBase:
        """A page of services."""
        query = asked(request, parameters.ServicesParameters)

        def answer() -> dict[str, Any]:
            services = status.services(
                now=clock.now(),
                category=query.get("category"),
                provider=query.get("provider"),
                state=query.get("state"),
                region=query.get("region"),
                search=query.get("search"),
                slugs=query.get("slug"),
            )
            if "search" in query:
                # The likeliest first is an order that no cursor can resume.
                best = services[: query["limit"]]
                return paged(request, best, next=None, previous=None, asked=query, shape=serializers.ServiceShape)
            return listed(
                request,
                sorted(services, key=_service_key),
                key=_service_key,
                asked=query,
                shape=serializers.ServiceShape,
            )

        return self.respond(request, query, answer)


@schema.service
class ServiceView(KeptView):
    """One service."""

    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """The present of one service."""
        query = asked(request, parameters.ServiceParameters)

        def answer() -> Any:
            service = status.service_status(slug, now=clock.now(), region=query.get("region"))
            return serializers.ServiceDetailShape(found(service, "service")).data

        return self.respond(request, query, answer)


@schema.counts
class CountsView(KeptView):
    """Counts through time."""

    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """Counts of one service and region in steps."""
        query = asked(request, parameters.CountsParameters)
        # A minute that is not over has too few reports, one that lies ahead has none: silence that tells nothing.
        now = clock.instant_of(clock.minute_of(clock.now()))
        end = min(query.get("to", now), now)
        start = query.get("from", end - DAY)
        if start >= end:
            raise ValidationError({"from": ["Expected an instant before `to` and before now."]})
        step = timedelta(seconds=query["step"])

        def answer() -> Any:
            try:
                series = status.service_counts(slug, region=query["region"], start=start, end=end, step=step)
            except status.TooManyStepsError as error:
                raise ValidationError(
                    {"step": [f"Expected {error}: ask for longer steps or a shorter time."]}
                ) from error
            return serializers.CountsShape(found(series, "service")).data

        return self.respond(request, {**query, "from": start, "to": end}, answer)


@schema.service_map
class MapView(KeptView):
    """Where a service is not normal."""

    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """The regions of one service that are not normal."""
        query = asked(request, parameters.MapParameters)
        now = clock.now()
        at = past(query.get("at"), now)
        return self.respond(
            request,
            query,
            lambda: serializers.map_json(found(status.service_map(slug, at=at, now=now), "service")),
        )


# --- providers --------------------------------------------------------------------------------------------------------


@schema.providers
class ProvidersView(KeptView):
    """Who runs services, and how long after the crowd each speaks."""

    def get(self, request: Request) -> HttpResponseBase:
        """A page of providers, by slug."""
        query = asked(request, parameters.PageParameters)
        return self.respond(
            request,
            query,
            lambda: listed(
                request,
                status.providers(),
                key=lambda provider: (provider.slug,),
                asked=query,
                shape=serializers.ProviderShape,
            ),
        )


@schema.provider
class ProviderView(KeptView):
    """One provider."""

    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """The provider with this slug."""
        asked(request, parameters.Parameters)
        return self.respond(
            request, {}, lambda: serializers.ProviderShape(found(status.provider(slug), "provider")).data
        )


# --- regions ----------------------------------------------------------------------------------------------------------


def _region_key(region: RegionLink) -> Key:
    return (region.code,)


@schema.regions
class RegionsView(KeptView):
    """The regions that can be reported from."""

    fresh_seconds = 3600

    def get(self, request: Request) -> HttpResponseBase:
        """A page of regions, by code."""
        query = asked(request, parameters.RegionsParameters)

        def answer() -> dict[str, Any]:
            regions = status.regions(
                codes=query.get("code"),
                parent=query.get("parent"),
                kind=query.get("kind"),
                search=query.get("search"),
            )
            return listed(
                request,
                sorted(regions, key=_region_key),
                key=_region_key,
                asked=query,
                shape=serializers.RegionShape,
            )

        return self.respond(request, query, answer)


@schema.region
class RegionView(KeptView):
    """One region."""

    fresh_seconds = 3600

    def get(self, request: Request, code: str) -> HttpResponseBase:
        """The region with this code; aliases are followed."""
        asked(request, parameters.Parameters)
        return self.respond(request, {}, lambda: serializers.RegionShape(found(status.region(code), "region")).data)


@schema.locate
class LocateView(OpenView):
    """Which region holds a place. Nothing of it is kept: it is where somebody is."""

    def get(self, request: Request) -> Response:
        """The region at a coordinate."""
        query = asked(request, parameters.LocateParameters)
        self.meter.spend()
        region = status.locate(query["lat"], query["lon"])
        return Response(serializers.RegionShape(found(region, "region at this place")).data)


# --- incidents --------------------------------------------------------------------------------------------------------


@schema.incidents
class IncidentsView(KeptView):
    """Outages, present and past."""

    def get(self, request: Request) -> HttpResponseBase:
        """A page of incidents in the order asked for."""
        query = asked(request, parameters.IncidentsParameters)

        def answer() -> dict[str, Any]:
            try:
                chosen = status.incidents(**query)
            except status.CursorError as error:
                raise ValidationError({"cursor": [str(error)]}) from error
            return paged(
                request,
                chosen.results,
                next=chosen.next,
                previous=chosen.previous,
                asked=query,
                shape=serializers.IncidentShape,
            )

        return self.respond(request, query, answer)


@schema.incident
class IncidentView(KeptView):
    """One incident."""

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """The incident with this ref."""
        asked(request, parameters.Parameters)
        return self.respond(
            request, {}, lambda: serializers.IncidentShape(found(status.incident(ref), "incident")).data
        )


@schema.calibration
class CalibrationView(KeptView):
    """Whether confidence keeps its word."""

    fresh_seconds = 3600

    def get(self, request: Request) -> HttpResponseBase:
        """Reliability by simulation and by review."""
        asked(request, parameters.Parameters)
        return self.respond(request, {}, lambda: serializers.CalibrationShape(status.calibration()).data)


@schema.incident_regions
class IncidentRegionsView(KeptView):
    """An incident region by region."""

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """A page of the incident's regions, by code."""
        query = asked(request, parameters.PageParameters)

        def answer() -> dict[str, Any]:
            found(status.incident(ref), "incident")
            regions = sorted(status.incident_regions(ref), key=lambda outage: outage.region.code)
            return listed(
                request,
                regions,
                key=lambda outage: (outage.region.code,),
                asked=query,
                shape=serializers.RegionalOutageShape,
            )

        return self.respond(request, query, answer)


@schema.incident_shapes
class IncidentShapesView(KeptView):
    """An incident on the Earth."""

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """The outlines of the regions that were not normal, with their state."""
        query = asked(request, parameters.MapParameters)
        now = clock.now()
        at = past(query.get("at"), now)
        return self.respond(
            request,
            query,
            lambda: serializers.geojson(*found(status.incident_shapes(ref, at=at, now=now), "incident")),
            content_type="application/geo+json",
        )


@schema.incident_timeline
class IncidentTimelineView(KeptView):
    """The dated facts of an incident."""

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """A page of the timeline, in order."""
        query = asked(request, parameters.PageParameters)

        def answer() -> dict[str, Any]:
            found(status.incident(ref), "incident")
            return listed(
                request,
                status.incident_timeline(ref),
                key=_line_key,
                asked=query,
                shape=serializers.TimelineLineShape,
            )

        return self.respond(request, query, answer)


@schema.incident_problems
class IncidentProblemsView(KeptView):
    """What failed in an incident."""

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """The incident's reports by problem."""
        asked(request, parameters.Parameters)
        return self.respond(
            request,
            {},
            lambda: serializers.IncidentProblemsShape(found(status.incident_problems(ref), "incident")).data,
        )


def _line_key(line: TimelineLine) -> Key:
    return line.at.isoformat(), line.id


class AnyAccept(BaseContentNegotiation):
    """Answers in the one form there is, whatever was asked for; errors in JSON."""

    def select_parser(self, _request: Any, parsers: Any) -> Any:
        """The first parser."""
        return parsers[0]

    def select_renderer(self, _request: Any, renderers: Any, _format_suffix: Any = None) -> Any:
        """The first renderer."""
        return renderers[0], renderers[0].media_type


@schema.incident_export
class IncidentExportView(OpenView):
    """The counts behind an incident, as CSV."""

    content_negotiation_class = AnyAccept

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """Per minute and region: counts and expectations."""
        asked(request, parameters.Parameters)
        self.meter.spend(EXPORT_COST)
        lines = found(status.incident_export(ref), "incident")
        served = _asynchronously(lines) if isinstance(request._request, ASGIRequest) else lines
        response = StreamingHttpResponse(served, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{ref}.csv"'
        response["Cache-Control"] = "public, max-age=60"
        return response


async def _asynchronously(lines: Iterator[str]) -> AsyncIterator[str]:
    """The same lines; under ASGI Django would gather a plain iterator in memory before it sends anything."""
    following = sync_to_async(lambda: next(lines, None))
    while (line := await following()) is not None:
        yield line


# --- reports ----------------------------------------------------------------------------------------------------------


class Unavailable(APIException):
    """Reports cannot be stored at the moment."""

    status_code = 503
    default_detail = "Reports cannot be stored at the moment. Please send it again."
    wait = 5


@schema.reports
class ReportsView(OpenView):
    """Takes in one report. The site's own server answers this before Django is asked (``reports.intake.endpoint``)."""

    # Reports have limits of their own.
    throttle_classes = ()
    methods = ("POST", "OPTIONS")

    def post(self, request: Request) -> Response:
        """Accept a report."""
        if not isinstance(request.data, Mapping):
            raise ValidationError({"non_field_errors": ["Invalid data. Expected a dictionary."]})
        address, client = guard.request_client(request._request)
        try:
            accepted = submission.submit(request.data, address=address, client=client, received_at=clock.now())
        except submission.Invalid as invalid:
            raise ValidationError(invalid.errors) from invalid
        except inbox.Unavailable as error:
            raise Unavailable from error
        return Response(accepted.as_json(), status=202)


@schema.reports_batch
class ReportsBatchView(OpenView):
    """Takes in many reports. The site's own server answers this before Django is asked (``reports.intake.batch``)."""

    throttle_classes = ()
    methods = ("POST", "OPTIONS")

    def post(self, request: Request) -> Response:
        """Accept the reports of a partner."""
        http = request._request
        length = http.headers.get("Content-Length", "")
        call = batch.Call(
            method="POST",
            authorization=http.headers.get("Authorization", ""),
            content_type=http.headers.get("Content-Type", ""),
            content_encoding=http.headers.get("Content-Encoding", ""),
            length=int(length) if length.isascii() and length.isdigit() else None,
        )

        async def chunks() -> AsyncIterator[bytes]:
            while chunk := http.read(1 << 16):
                yield chunk

        async def answer() -> batch.Answer:
            try:
                return await batch.answer_to(call, chunks())
            finally:
                # The event loop may end with this call.
                await bulk.close()

        answered = async_to_sync(answer)()
        # How the connection goes on is its server's business.
        headers = {name: value for name, value in answered.headers.items() if name != "connection"}
        return Response(answered.body, status=answered.status, headers=headers)


@schema.hidden
class UnknownCallView(OpenView):
    """What nobody knows, in the shape of the other errors."""

    methods = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Ends every request, whatever its method."""
        raise NotFound("There is no such call: /api/v1/schema/ lists them all.")
