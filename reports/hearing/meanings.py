"""What an update of a status page means, by the status it carries or, where it carries none, by its words.

In doubt it is an ``update``. ``restored`` is said only where the provider says so in so many words and takes nothing of
it back; ``denied`` beats it.
"""

from __future__ import annotations

import re

from reports.models import Statement

Meaning = Statement.Meaning

# Statuspage's own words, of incidents and of maintenance.
STATUSES = {
    "investigating": Meaning.ACKNOWLEDGED,
    "identified": Meaning.ACKNOWLEDGED,
    "monitoring": Meaning.UPDATE,
    "resolved": Meaning.RESTORED,
    "postmortem": Meaning.UPDATE,
    "update": Meaning.UPDATE,
}
PLANNED = frozenset({"scheduled", "in progress", "in_progress", "verifying", "completed"})

_DENIED = re.compile(
    r"\bfalse (?:alarm|positive)\b"
    r"|\bno (?:actual |real )?(?:outage|incident|disruption|service impact|customer impact) (?:occurred|took place)\b"
    r"|\b(?:there (?:was|is|were|are)|we (?:see|found|have found|are seeing)) no (?:current |ongoing |known )?"
    r"(?:outages?|incidents?|issues?|problems?|disruptions?)\b"
    r"|\b(?:is|are) not (?:currently )?experiencing (?:any )?(?:outages?|issues?|problems?|disruptions?)\b"
    r"|\b(?:operated|operating|operational|working|worked) (?:normally|as (?:normal|expected)) throughout\b"
)
_LABEL = r"(?:resolved|restored|fixed)"
_LABELLED = re.compile(
    rf"^\s*[\[(]{_LABEL}[\])]|^\s*(?:status|state)\s*:\s*{_LABEL}\b|^\s*{_LABEL}\s*(?:[:|–—-]|$)|[\[(]{_LABEL}[\])]\s*$"
)
_THING = r"(?:issue|incident|problem|outage|disruption|service|services|it|this|everything|all systems|access|systems)"
_RESTORED = re.compile(
    rf"\b{_THING}\b[^.!?\n]{{0,60}}\b(?:has|have) (?:now |since |been )*(?:fully |completely )?been "
    r"(?:now )?(?:fully |completely )?(?:resolved|restored|fixed)\b"
    rf"|\b{_THING}\b[^.!?\n]{{0,60}}\b(?:is|are|was|were) (?:now )?(?:fully |completely )?(?:resolved|restored|fixed)\b"
    rf"|\b{_THING}\b[^.!?\n]{{0,60}}"
    r"\b(?:is|are) (?:now )?(?:fully )?(?:operational|back to normal|operating normally)\b"
)
# In the sentence that says it, each of these takes it back or puts it off.
_HEDGED = re.compile(
    r"\b(?:not|never|no|cannot|un\w*|should|would|will|may|might|could|expect\w*|hope\w*|believe\w*|appears?|seems?|until"
    r"|once|when|if|unless|before|after|being|soon|almost|nearly|most|mostly|many|majority|some|part|partial\w*|several"
    r"|except\w*|monitor\w*|confirm\w*|verif\w*|work\w*|implement\w*|begin\w*|began|start\w*|gradual\w*|recover\w*"
    r"|progress\w*|estimat\w*|whether|previous\w*|earlier|yesterday|unrelated|separate|another)\b|n['’]t\b|\?"
)
# Anywhere in the text, these say that it goes on for somebody.
_GOES_ON = re.compile(
    r"\b(?:still|remain\w*|continu\w+ to (?:see|experience|investigate|work|affect\w*)|however|except\w*|partial\w*"
    r"|residual|lingering|some (?:users?|customers?|regions?|countries|people|requests?)"
    r"|not (?:yet|fully|all|everyone|every)|unresolved|reopen\w*|re-open\w*|again|recur\w*|returned)\b|n['’]t yet\b"
)
_ADMITTED = re.compile(
    r"\b(?:investigat\w+|looking into|aware of|identified|outages?|disruptions?|degraded|degradation|unavailable|down"
    r"|elevated (?:errors?|latency)|experiencing|issues? (?:with|affecting|accessing)|problems? (?:with|affecting)"
    r"|errors? (?:with|when|while)|unable to|fault)\b"
)
_PLANNED = re.compile(r"\b(?:scheduled|planned|routine) (?:\w+ ){0,2}(?:maintenance|upgrade|work)|\bmaintenance\b")


def of_status(status: str, text: str) -> Meaning:
    """What an update with this status means; the text can only weaken it."""
    meaning = STATUSES.get(status.strip().lower(), Meaning.UPDATE)
    plain = text.casefold()
    if _DENIED.search(plain):
        return Meaning.DENIED if meaning in (Meaning.RESTORED, Meaning.UPDATE) else meaning
    if meaning is Meaning.RESTORED and re.search(
        r"\b(?:not (?:yet|fully)|partially) (?:\w+ )?(?:resolved|restored)\b", plain
    ):
        return Meaning.UPDATE
    return meaning


def of_words(title: str, text: str) -> Meaning:
    """What an update without a status means."""
    head, body = title.casefold(), text.casefold()
    whole = f"{head}\n{body}"
    if _DENIED.search(whole):
        return Meaning.DENIED
    if _LABELLED.search(head):
        return Meaning.UPDATE if _GOES_ON.search(whole) else Meaning.RESTORED
    if not _GOES_ON.search(whole):
        for sentence in [*re.split(r"[.!\n]+", body), head]:
            if _RESTORED.search(sentence) and not _HEDGED.search(sentence):
                return Meaning.RESTORED
    claims = re.search(r"\b(?:resolved|restored|fixed|operational|recovered)\b", whole)
    if _ADMITTED.search(whole) and not claims:
        return Meaning.ACKNOWLEDGED
    return Meaning.UPDATE


def planned(status: str, title: str = "") -> bool:
    """Whether it is work that was announced, and no outage that was admitted."""
    return status.strip().lower() in PLANNED or bool(_PLANNED.search(title.casefold()))
