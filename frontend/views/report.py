"""The plain form: what a visitor says, taken without a script, and the receipt for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from frontend import places, words
from frontend.responses import kept_aside, page, unavailable
from reports import clock, status
from reports.intake import coalescer, flood, guard, inbox, submission
from reports.status.answers import ServiceLink


class SeeOther(HttpResponseRedirect):
    """What was posted has been dealt with; what comes next is a page to look at."""

    status_code = 303


@require_POST
def report(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Takes the plain form, and leads on to the receipt, so that reloading sends nothing again."""
    form = {name: request.POST.get(name, "") for name in ("country", "region", "kind", "problem")}
    if not form["kind"].strip():
        # A program may leave it out and means "down"; a form has two buttons, and without either nobody said anything.
        return _refused(request, slug, form, [words.refusal("kind")])
    address, client = guard.request_client(request)
    try:
        accepted = submission.submit(
            {
                "service": slug,
                "region": places.chosen_region(form["country"], form["region"]),
                "kind": form["kind"],
                "problem": form["problem"],
            },
            address=address,
            client=client,
            received_at=clock.now(),
        )
    except submission.Invalid as invalid:
        return _refused(request, slug, form, [words.refusal(field) for field in invalid.errors])
    except flood.Refusal as refusal:
        return turned_away(request, slug, form, refusal)
    except inbox.Unavailable:
        return unavailable(request, {name: value for name, value in form.items() if value})
    if coalescer.database_is_away():
        # The receipt's page would have to ask it.
        return kept_aside()
    place = f"{reverse('reported', args=[accepted.service])}?receipt={accepted.receipt}"
    return SeeOther(place)


def turned_away(request: HttpRequest, slug: str, form: Mapping[str, str], refusal: flood.Refusal) -> HttpResponseBase:
    """Too much for now, said kindly, with the form as it was filled in. With JavaScript it solves the challenge."""
    proof = isinstance(refusal, flood.ProofNeeded)
    context = {
        "proof": proof,
        "network": isinstance(refusal, flood.TooMany) and refusal.network,
        "minutes": -(-refusal.retry_after // 60),
    }
    response = _form_again(request, slug, form, "frontend/turned_away.html", context, code=403 if proof else 429)
    response["Retry-After"] = str(refusal.retry_after)
    response["Cache-Control"] = "no-store"
    return response


def _refused(request: HttpRequest, slug: str, form: Mapping[str, str], errors: Sequence[str]) -> HttpResponseBase:
    """What is wrong, and the form again with what was chosen."""
    return _form_again(request, slug, form, "frontend/refused.html", {"errors": errors}, code=400)


def _form_again(
    request: HttpRequest, slug: str, form: Mapping[str, str], template: str, said: Mapping[str, object], *, code: int
) -> HttpResponseBase:
    link = service_link(slug)
    context: dict[str, object] = {**said, "link": link}
    if link:
        context |= {
            "places": places.filled_form(form["country"], form["region"]),
            "problems": status.problem_choices(slug),
            "problem": form["problem"],
            "report_words": words.report_words(link.name),
        }
    return page(request, template, context, now=clock.now(), code=code)


@require_safe
def reported(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The receipt of a report."""
    token = request.GET.get("receipt", "")[:500]
    receipt = submission.read_receipt(token)
    link = service_link(slug)
    if receipt is None or link is None or receipt.service != link.slug:
        raise Http404(_("This is no receipt of ours."))
    context = {"receipt": receipt, "token": token, "link": link, "region": status.region(receipt.region)}
    return page(request, "frontend/reported.html", context, now=clock.now())


def service_link(slug: str) -> ServiceLink | None:
    """The service with this slug, if there is one."""
    found = status.service_status(slug, now=clock.now())
    return found.link if found else None
