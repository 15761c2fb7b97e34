"""The OpenAPI description: prose, parameters, errors and examples of each call, and the pages that show it."""

from __future__ import annotations

import json
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import override
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.settings import patched_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from drf_spectacular.views import SpectacularAPIView
from rest_framework import serializers as fields
from rest_framework.request import Request

from reports.api import article_shapes as articles
from reports.api import examples, parameters, serializers
from reports.api.responses import OpenView
from reports.api.throttles import EXPORT_COST
from reports.audience import ready

PROSE = """
What people report about services, region by region: what is down now, since when, and where it is back.

* **Free to read**: no key, any origin (CORS `*`). Please keep what you got for as long as `Cache-Control` says.
* **Cheap to ask again**: JSON answers have a strong `ETag`; send it as `If-None-Match` and get `304` while nothing
  changed. An `ETag` belongs to an address and an encoding, and is the same from every server of a site.
* **Limits** count the answers that had to be made for you, not your calls: an answer that somebody else was given a
  moment ago, and a `304`, count nothing. Of one address (IPv6: its /64) 600 a minute are made unless the operator set
  another number, the file of an incident counts ten, and an error counts one. Beyond that: `429` with `Retry-After`.
  Who has a key sends it (`Authorization: Api-Key …`) and has ten times as many; an unknown key counts for nothing.
* **Parameters** that a call does not have are refused with `400`, and so is one that is given twice: a slip in a filter
  would else answer another question. Names that begin with `_` or `utm_` are passed over.
* **Instants** are ISO 8601, UTC, with a `Z`. **Regions** are ISO 3166-1 (`GB`) or 3166-2 (`GB-ENG`) codes; `001` is the
  world. A region's figures hold those of the regions in it.
* **Counts** are counted reports: of one person, service and kind, the first in 60 minutes. Of what one network sends
  about a service in that time, those beyond the first 8 count ever less; what has no crowd's shape is set
  aside and not counted. The whole rule: `/methodology/#counting`.
* **States** of a region are `normal`, `down`, `recovering`, `restored` and `unknown`. Silence is never `normal`.
* **Lists** come as `results` with the addresses of the `next` and the `previous` page.
* **Errors** are `{"detail": "…"}`, or, for a bad parameter or field, its name with what is wrong: `{"step": ["…"]}`.

### What stays

Within `/api/v1/` addresses, parameters and fields stay and mean the same. New calls, parameters, fields and values of
open lists (`scope`, `rule`, `kind` of the timeline) may come at any time: pass over what you do not know. A field is
dropped or changed only by a new version in the address. The former one then goes on for a year at least; from the first
day its answers carry `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a `Link` to what to do, and the change is in
`CHANGELOG.md`. Nothing is deprecated now.
""".strip()


# --- errors -----------------------------------------------------------------------------------------------------------


def _detail(name: str, said: str) -> OpenApiExample:
    return OpenApiExample(name, value={"detail": said})


class DetailShape(serializers.Shape[Any]):
    """What went wrong."""

    detail = fields.CharField(help_text="What went wrong, in words.")


_BAD = OpenApiResponse(
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    description="A bad parameter, by name, or one that there is not.",
    examples=[
        OpenApiExample("Bad parameter", value={"region": ['Unknown region "UK-ENG". Did you mean GB-ENG (England)?']}),
        OpenApiExample("Unknown parameter", value={"regoin": ["Unknown parameter. Did you mean `region`?"]}),
    ],
)
_BAD_PLAIN = OpenApiResponse(
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    description="A parameter, of which this call has none.",
    examples=[OpenApiExample("Unknown parameter", value={"at": ["This call takes no parameters."]})],
)
_BUSY = OpenApiResponse(
    DetailShape,
    description="So much had to be made for this address or key that it is to wait; see `Retry-After`. What lies ready "
    "is still given out.",
    examples=[_detail("Too much", "Request was throttled. Expected available in 2 seconds.")],
)
_AWAY = OpenApiResponse(
    DetailShape,
    description="The database does not answer, and there is no earlier answer to give; see `Retry-After`.",
    examples=[_detail("Away", "The database does not answer at the moment. Please ask again.")],
)
_LATER = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    response=[429, 503],
    description="In how many seconds it is worth coming again.",
)
_MISSING = OpenApiResponse(
    DetailShape,
    description="There is none.",
    examples=[OpenApiExample("Not found", value={"detail": "No service found."})],
)
_NOT_READ: dict[Any, Any] = {429: _BUSY, 503: _AWAY}
_UNCHANGED = OpenApiResponse(description="Nothing changed since the answer with this `ETag`.")
_TAG = OpenApiParameter(
    "If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The `ETag` of an earlier answer."
)
_HEADERS = [
    OpenApiParameter(
        "ETag",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 304],
        description="Strong validator of this answer in this encoding.",
    ),
    OpenApiParameter(
        "Cache-Control",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 304],
        description="For how many seconds the answer need not be asked for again.",
    ),
]


def _path(name: str, description: str, example: str) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        OpenApiTypes.STR,
        OpenApiParameter.PATH,
        description=description,
        examples=[OpenApiExample(example, value=example)],
    )


_SLUG = _path("slug", "Slug of a service.", "whatsapp")
_CODE = _path("code", "Code of a region.", "GB-ENG")
_REF = _path("ref", "Ref of an incident.", "OUT-2026-0142")


def _page_of(shape: type[serializers.Shape[Any]]) -> Any:
    return inline_serializer(
        f"{shape.__name__.removesuffix('Shape')}Page",
        {
            "next": fields.URLField(allow_null=True, help_text="Address of the next page; null on the last one."),
            "previous": fields.URLField(allow_null=True, help_text="Address of the page before; null on the first."),
            "results": shape(many=True, help_text="What is on this page, in order."),
        },
    )


def _call(
    name: str,
    tag: str,
    summary: str,
    answer: Any,
    *asked: OpenApiParameter | type[parameters.Parameters],
    description: str = "",
    example: Any = None,
    kept: bool = True,
    bad: bool = True,
    missing: bool = True,
) -> Any:
    """The description of a ``GET``: ``asked`` are its path and query parameters, ``example`` an answer; not ``bad`` is
    one that takes no parameters."""
    answers = [] if example is None else [OpenApiExample("Answer", value=example)]
    responses: dict[int, Any] = {200: OpenApiResponse(answer, description="The answer.", examples=answers)}
    if kept:
        responses[304] = _UNCHANGED
    responses[400] = _BAD if bad else _BAD_PLAIN
    if missing:
        responses[404] = _MISSING
    responses |= _NOT_READ
    return extend_schema_view(
        get=extend_schema(
            operation_id=name,
            tags=[tag],
            summary=summary,
            description=description or summary,
            parameters=[*asked, _LATER, *([_TAG, *_HEADERS] if kept else [])],
            responses=responses,
        )
    )


# --- examples ---------------------------------------------------------------------------------------------------------

_SERVICE = {
    "slug": "whatsapp",
    "name": "WhatsApp",
    "provider": "meta",
    "category": "messaging",
    "state": "down",
    "since": "2026-04-03T18:02:00Z",
    "regions_down": 12,
    "people_affected": 214_000_000,
    "reports_last_hour": 4213,
    "baseline_last_hour": 37.4,
    "working_last_hour": 61,
    "incident": "OUT-2026-0142",
    "echo_of": None,
}
_MAP = {
    "at": "2026-04-03T18:40:00Z",
    "version": "5d41402abc4b2a76b9",
    "regions": {
        "GB-ENG": {
            "state": "down",
            "since": "2026-04-03T18:02:00Z",
            "reports": 1204,
            "expected": 6.1,
            "ratio": 197.377,
            "covered_by": None,
        }
    },
}
_COUNTS = {
    "service": "whatsapp",
    "region": "GB-ENG",
    "start": "2026-04-03T18:00:00Z",
    "step": 300,
    "reports": [3, 41, 322],
    "working": [0, 0, 2],
    "expected": [0.51, 0.51, 0.52],
    "upper": [3.0, 3.0, 3.0],
    "baseline_version": "1f2e3d4c5b6a",
}
_REGION = {
    "code": "GB-ENG",
    "name": "England",
    "parent": "GB",
    "kind": "nation",
    "population": 57_751_362,
    "population_estimated": True,
}
_REPORT = {
    "service": "whatsapp",
    "region": "GB-ENG",
    "kind": "down",
    "problem": "messages",
    "id": "0b8e9a52-3f7c-4d5e-9a41-6c2f8d1e7b30",
}
_ACCEPTED = {
    "id": "019d5463-6a40-7c31-8f0e-2b5d9c4a7e11",
    "service": "whatsapp",
    "region": "GB-ENG",
    "kind": "down",
    "problem": "messages",
    "received_at": "2026-04-03T18:04:12.345Z",
    "receipt": "019d54636a407c318f0e2b5d9c4a7e11~whatsapp~GB-ENG~down.W3q…",
}

_PROVIDER = {
    "slug": "meta",
    "name": "Meta",
    "country": "US",
    "homepage": "https://about.meta.com/",
    "status_url": "https://metastatus.com/",
    "services": ["facebook", "instagram", "whatsapp"],
    "lead": {
        "outages": 14,
        "spoken": 9,
        "never": 4,
        "first": 1,
        "onset": {"median_s": 2520, "shortest_s": 180, "longest_s": 7440},
        "detection": {"median_s": 2100, "shortest_s": -240, "longest_s": 7020},
    },
}

# --- the calls --------------------------------------------------------------------------------------------------------

services = _call(
    "services_list",
    "services",
    "Services with their present state",
    _page_of(serializers.ServiceShape),
    parameters.ServicesParameters,
    example={"next": None, "previous": None, "results": [_SERVICE]},
    missing=False,
)
service = _call(
    "services_one",
    "services",
    "One service, or one region of it",
    serializers.ServiceDetailShape,
    _SLUG,
    parameters.ServiceParameters,
    description="With `region`, every figure is that region's; its `state` is what was decided for it or for a region "
    "above, else the worst of the regions in it.",
    example={
        **_SERVICE,
        "down": [],
        "restored": [],
        "problems": [{"problem": "messages", "label": "Messages", "reports": 2891}],
    },
)
counts = _call(
    "services_counts",
    "services",
    "Counts of a service and region through time, beside what was expected",
    serializers.CountsShape,
    _SLUG,
    parameters.CountsParameters,
    description="Whole minutes that are over. A last step that `to` cuts short holds, and expects, what came before "
    "`to`.",
    example=_COUNTS,
)
service_map = _call(
    "services_map",
    "services",
    "The regions where a service is not normal, now or at a past instant",
    serializers.MapShape,
    _SLUG,
    parameters.MapParameters,
    description="Regions that are not in the answer are normal. A region in a country that is down as a whole takes "
    "its state (`covered_by`), unless something was decided for the region itself. The past is told by what is known "
    "today: onsets and restorations at their estimated instants.",
    example=_MAP,
)
providers = _call(
    "providers_list",
    "providers",
    "Who runs services, and how long after the crowd each speaks of an outage",
    _page_of(serializers.ProviderShape),
    parameters.PageParameters,
    example={"next": None, "previous": None, "results": [_PROVIDER]},
    missing=False,
)
provider = _call(
    "providers_one",
    "providers",
    "One provider, and how long after the crowd it speaks of an outage",
    serializers.ProviderShape,
    _path("slug", "Slug of a provider.", "meta"),
    example=_PROVIDER,
    bad=False,
)
regions = _call(
    "regions_list",
    "regions",
    "The regions that can be reported from",
    _page_of(serializers.RegionShape),
    parameters.RegionsParameters,
    example={"next": None, "previous": None, "results": [_REGION]},
    missing=False,
)
region = _call("regions_one", "regions", "One region", serializers.RegionShape, _CODE, example=_REGION, bad=False)
locate = _call(
    "regions_locate",
    "regions",
    "The region at a coordinate",
    serializers.RegionShape,
    parameters.LocateParameters,
    description="The coordinate is neither stored nor logged by this program. At sea, beyond 25 km of any coast, there "
    "is none.",
    example=_REGION,
    kept=False,
)
incidents = _call(
    "incidents_list",
    "incidents",
    "Incidents, present and past",
    _page_of(serializers.IncidentShape),
    parameters.IncidentsParameters,
    description="Rejected and merged incidents are among them; `review` says so. Filters add up: an incident has "
    "to fit each of them.",
    example=examples.page_of(examples.INCIDENT),
    missing=False,
)
incident = _call(
    "incidents_one",
    "incidents",
    "One incident",
    serializers.IncidentShape,
    _REF,
    description="With its evidence, the provider's word, and the services that were checked beside it.",
    example=examples.INCIDENT,
    bad=False,
)
calibration = _call(
    "calibration",
    "incidents",
    "Whether the confidence of incidents keeps its word",
    serializers.CalibrationShape,
    description="Of the incidents told with a confidence, how many were outages: in simulation, with known truth, and "
    "by this site's reviews.",
    example=examples.CALIBRATION,
    bad=False,
    missing=False,
)
incident_regions = _call(
    "incidents_regions",
    "incidents",
    "An incident region by region",
    _page_of(serializers.RegionalOutageShape),
    _REF,
    parameters.PageParameters,
    description="Each with its own onset and restoration. Regions that were withdrawn are left out; the timeline tells "
    "of them.",
    example=examples.page_of(examples.REGIONAL_OUTAGE),
)
incident_shapes = extend_schema_view(
    get=extend_schema(
        operation_id="incidents_shapes",
        tags=["incidents"],
        summary="An incident on the map, as GeoJSON",
        description="The outlines of the regions that were not normal at an instant of the incident, each with its "
        "state: for maps of your own. Outlines are generalised to about 4 km and two digits after the point, take no "
        "position on any border (Natural Earth, public domain), and all of them together are some 2 MB. Without `at`: "
        "as it stands. Regions that only the world as a whole covers are left out.",
        parameters=[_REF, parameters.MapParameters, _LATER, _TAG, *_HEADERS],
        responses={
            (200, "application/geo+json"): OpenApiResponse(
                serializers.ShapesShape,
                description="The answer.",
                examples=[OpenApiExample("Answer", value=examples.SHAPES)],
            ),
            304: _UNCHANGED,
            400: _BAD,
            404: _MISSING,
            **_NOT_READ,
        },
    )
)
incident_timeline = _call(
    "incidents_timeline",
    "incidents",
    "The dated facts of an incident, in order",
    _page_of(serializers.TimelineLineShape),
    _REF,
    parameters.PageParameters,
    description="Nothing is taken out of it: what turned out wrong is followed by what was found right.",
    example=examples.page_of(*examples.TIMELINE),
)
incident_problems = _call(
    "incidents_problems",
    "incidents",
    "What people said fails in an incident",
    serializers.IncidentProblemsShape,
    _REF,
    description="Of the reports in its regions, from onset to resolution or so far: how many name which problem.",
    example={
        "said": 2987,
        "silent": 1226,
        "problems": [
            {"problem": "messages", "label": "Sending and receiving messages", "reports": 2061, "share": 0.69}
        ],
    },
    bad=False,
)
incident_article = extend_schema_view(
    get=extend_schema(
        operation_id="incidents_article",
        tags=["incidents"],
        summary="An incident told in words, each figure with its source",
        description="Headline, lead and sections in the order in which a newspaper would tell it, made from the "
        "evidence alone; while the incident goes on, as far as it is known. As JSON (sentences in spans: each figure "
        "with its value and the numbers of the notes that it cites), as Markdown with footnotes, or as HTML: by "
        "`format`, else by `Accept`.",
        parameters=[_REF, parameters.ArticleParameters, _LATER, _TAG, *_HEADERS],
        responses={
            (200, media_type): OpenApiResponse(
                shape, description="The article.", examples=[OpenApiExample("Article", value=example)]
            )
            for media_type, shape, example in (
                ("application/json", articles.ArticleShape, examples.ARTICLE),
                ("text/markdown", OpenApiTypes.STR, examples.ARTICLE_MARKDOWN),
                ("text/html", OpenApiTypes.STR, examples.ARTICLE_HTML),
            )
        }
        | {
            304: _UNCHANGED,
            400: _BAD,
            404: _MISSING,
            406: OpenApiResponse(
                DetailShape,
                description="`Accept` names none of the three forms.",
                examples=[
                    _detail(
                        "None of them",
                        "Could not satisfy the request Accept header: expected one of application/json, "
                        "text/markdown, text/html.",
                    )
                ],
            ),
            **_NOT_READ,
        },
    )
)
incident_export = extend_schema_view(
    get=extend_schema(
        operation_id="incidents_export",
        tags=["incidents"],
        summary="The counts behind an incident, as CSV",
        description="One line for each minute and region (the world and each region of the incident, with all that "
        "lies in it), from 130 minutes before the onset to an hour after the end: `minute`, `region`, `reports`, "
        "`working`, `networks`, `service_networks`, `expected`, `upper`, `baseline_version`, and `expected_VERSION` "
        "for each further fit that a decision named. With the evidence of the decisions it is what they can be "
        "recomputed from: `/methodology/recompute.py` does so.",
        parameters=[_REF, _LATER],
        responses={
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR,
                description="The file.",
                examples=[OpenApiExample("Two lines", value=examples.EXPORT)],
            ),
            400: _BAD_PLAIN,
            404: _MISSING,
            **_NOT_READ,
        },
    )
)


def _fault(description: str, said: str) -> OpenApiResponse:
    return OpenApiResponse(DetailShape, description=description, examples=[_detail("Error", said)])


reports = extend_schema_view(
    post=extend_schema(
        operation_id="reports_create",
        tags=["reports"],
        summary="Report that a service is down for you, or works again",
        description="Answered when the report is on disk. Send your own `id` to be able to send it again safely: the "
        "answer is the same, and it counts once.",
        request=serializers.ReportShape,
        parameters=[_LATER],
        responses={
            202: OpenApiResponse(
                serializers.AcceptedShape,
                description="Accepted.",
                examples=[OpenApiExample("Accepted", value=_ACCEPTED)],
            ),
            400: OpenApiResponse(
                {"type": "object", "additionalProperties": True},
                description="Not a report: a bad field, by name, or a body that is no JSON.",
                examples=[
                    OpenApiExample(
                        "Unknown region",
                        value={"region": ['Unknown region "UK-ENG". Did you mean GB-ENG (England)?']},
                    ),
                    OpenApiExample("No JSON", value={"detail": "JSON parse error - Expecting value"}),
                ],
            ),
            403: OpenApiResponse(
                serializers.ProofNeededShape,
                description="Not yet: so many reports come from this person or network, or altogether, that each has "
                "to be paid for with some work. Find the `number` from 0 to `maxNumber` for which the SHA-256 of "
                "`salt` followed by the number in decimal is `challenge`, in hexadecimal. Send the same report again, "
                "with an `altcha`: the base64 of a JSON object of `algorithm`, `challenge`, `number`, `salt` and "
                "`signature`. A challenge ends after five minutes, and its solution serves once. Never asked for in "
                "ordinary times. (ALTCHA, version 1: its libraries solve it.)",
                examples=[OpenApiExample("Proof needed", value=examples.PROOF_NEEDED)],
            ),
            408: _fault("The body took too long to arrive.", "The body took too long to arrive."),
            413: _fault("The body is larger than 8 KB.", "The body is larger than 8192 bytes."),
            415: _fault("Neither JSON nor a form.", 'Unsupported media type "text/xml" in request.'),
            429: _fault(
                "This person or network has sent as much as it may for now; see `Retry-After`.",
                "For now you have sent as many reports as are taken in. What was accepted is counted; come again in 7 "
                "minutes.",
            ),
            503: _fault(
                "Cannot be stored now; see `Retry-After`.",
                "Reports cannot be stored at the moment. Please send it again.",
            ),
        },
        examples=[OpenApiExample("Report", value=_REPORT, request_only=True)],
    )
)


def _of_batch(shape: type[serializers.Shape[Any]], description: str, *examples: OpenApiExample) -> OpenApiResponse:
    return OpenApiResponse(shape, description=description, examples=list(examples))


_TALLY = {
    "accepted": 2,
    "duplicates": 0,
    "rejected": [{"index": 2, "errors": {"region": ['Unknown region "UK-ENG". Did you mean GB-ENG (England)?']}}],
}
_ITEM = {**_REPORT, "occurred_at": "2026-04-03T18:02:41Z", "reporter": "8f1c0e", "network": "AS64500"}
_CHALLENGE = OpenApiParameter(
    "WWW-Authenticate",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[401, 403],
    description="`Api-Key`",
)

reports_batch = extend_schema_view(
    post=extend_schema(
        operation_id="reports_batch",
        tags=["reports"],
        summary="Send many reports at once, with a key",
        description="A JSON array, or one JSON object a line (`application/x-ndjson`), of up to 10,000 items. Lines "
        "are read as they arrive and stored block by block. Answered when everything accepted is on disk. An item that "
        "is no report is rejected by its index; the others go on. Each item needs an `id`: when a call fails or nobody "
        "heard its answer, send the same items again, and what was accepted counts once.",
        request={
            "application/json": serializers.BatchItemShape(many=True),
            "application/x-ndjson": OpenApiTypes.STR,
        },
        parameters=[_LATER, _CHALLENGE],
        auth=[{"ApiKey": []}],  # type: ignore[list-item]  # goes into the document as it is
        responses={
            202: _of_batch(
                serializers.BatchShape, "Every item is answered for.", OpenApiExample("Answer", value=_TALLY)
            ),
            400: OpenApiResponse(
                {"type": "object", "additionalProperties": True},
                description="No JSON array; nothing was accepted.",
                examples=[_detail("No JSON", "JSON parse error - Expecting value: line 1 column 1 (char 0)")],
            ),
            401: _fault(
                "No key, or one that is unknown, revoked or expired.", "This key is unknown, revoked or expired."
            ),
            403: _fault("The key may not send reports.", "This key may not send reports."),
            408: _of_batch(
                serializers.BatchStoppedShape,
                "The body took too long to arrive.",
                OpenApiExample("Stopped", value={**_TALLY, "detail": "The body took too long to arrive."}),
            ),
            413: OpenApiResponse(
                {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]},
                description="More than 10,000 items, of which the first are accepted when they came as lines (the "
                "answer says how many), or an array of more than 4 MiB.",
                examples=[_detail("Too large", "The array is larger than 4194304 bytes. NDJSON may be longer.")],
            ),
            415: _fault("Neither JSON nor NDJSON, or compressed.", 'Unsupported content encoding "gzip" in request.'),
            429: OpenApiResponse(
                {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]},
                description="The key has sent as many reports as it may for now (the answer says how many of these "
                "were accepted), or has too many calls at once.",
                examples=[
                    OpenApiExample(
                        "Stopped", value={**_TALLY, "detail": "The key has sent as many reports as it may for now."}
                    )
                ],
            ),
            503: _fault("Cannot be stored now.", "Reports cannot be stored at the moment. Please send it again."),
        },
        examples=[
            OpenApiExample("Array", value=_ITEM, request_only=True, media_type="application/json"),
            OpenApiExample(
                "Lines", value=f"{json.dumps(_ITEM)}\n", request_only=True, media_type="application/x-ndjson"
            ),
        ],
    )
)
hidden = extend_schema(exclude=True)


# --- where it is shown ------------------------------------------------------------------------------------------------


class SchemaView(OpenView, SpectacularAPIView):
    """The OpenAPI document: JSON unless YAML is asked for. It is the code's own: made once in each form."""

    fresh_seconds = 3600
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]  # noqa: RUF012
    custom_settings = {"DESCRIPTION": PROSE}  # noqa: RUF012

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, marked as one that needs no database."""
        view: Any = super().as_view(**initkwargs)
        view.answers_when_away = True
        return view

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        """The document in the form that was asked for."""
        form = request.accepted_renderer
        with _making:
            made = _documents.get(form.media_type)
            if made is None:
                # More than a second of work.
                self.meter.spend(EXPORT_COST)
                with patched_settings(self.custom_settings), override("en"):
                    generator: Any = self.generator_class()
                    document = generator.get_schema(request=None, public=True)
                rendered = form.render(document, renderer_context={})
                made = ready.body(rendered if isinstance(rendered, bytes) else rendered.encode())
                _documents[form.media_type] = made
        kind = ready.Kind(f"{form.media_type}; charset=utf-8", self.fresh_seconds, ("Accept",))
        return ready.answered(request._request, made, kind)


_documents: dict[str, ready.Body] = {}
_making = Lock()


def docs(request: HttpRequest) -> HttpResponse:
    """The page on which the calls can be read and tried."""
    return render(request, "reports/api/docs.html")
