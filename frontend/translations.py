"""The catalogues of messages: what is to be translated, read out of code, templates and data, and what is wrong with a
translation.

Babel and Django's own template reader do what GNU gettext would, so that a newcomer needs Python and nothing else. The
compiled ``.mo`` are committed beside the ``.po``; a test compares them. ``manage.py translations`` writes both.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
LOCALE = ROOT / "frontend" / "locale"

PYTHON = (
    "frontend/**/*.py",
    "reports/audience/notices.py",
    "reports/audience/returns.py",
    "reports/formats.py",
    "reports/incidents/**/*.py",
    "reports/intake/**/*.py",
    "reports/status/**/*.py",
)
"""What speaks to visitors. The administrators' desk, commands, feeds and badges are English."""
DESK = tuple(
    f"reports/incidents/{module}.py"
    for module in ("acting", "joining", "lifecycle", "rows", "statements", "undo", "what_if")
)
TEMPLATES = ("frontend/templates/**/*.html", "frontend/templates/**/*.svg", "frontend/templates/**/*.txt")
LABELS = "reports/data/catalogue/categories.json"

PLURALS = {
    "ar": (6, "(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5)"),
    "de": (2, "(n != 1)"),
    "es": (2, "(n != 1)"),
    "hi": (2, "(n > 1)"),
    "pt": (2, "(n > 1)"),
}
"""Languages that are translated into, and how each counts. Portuguese is that of Brazil, where most speakers live."""

_KEYWORDS: dict[str, tuple[tuple[int, str] | int, ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
_TEXT = r"u?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_CALL = re.compile(rf"\b(n?p?gettext)\(({_TEXT}(?:, {_TEXT})*)(?:, count)?\)", re.DOTALL)

_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|(?<!\{)\{\w*(?::[^}]*)?\}")
_COUNTS = re.compile(r"\b(?:n|number|count|minutes|left)\b")
_TAG = re.compile(r"</?[a-z]+[^>]*>")
_LONE_PERCENT = re.compile(r"(?<!%)(?:%%)*%(?![%(])")


def template() -> Catalog:
    """Every message of the visitors' pages, in the order of the files."""
    found = Catalog(project="Outagemap", charset="utf-8", fuzzy=False)
    for path in _files(TEMPLATES):
        for context, ids in _of_template(path.read_text(encoding="utf-8"), str(path)):
            _add(found, path, context, ids)
    for path in _files(PYTHON):
        if str(path.relative_to(ROOT)) not in DESK:
            for context, ids in _of_python(path):
                _add(found, path, context, ids)
    for category in json.loads((ROOT / LABELS).read_text(encoding="utf-8")):
        _add(found, ROOT / LABELS, None, (category["name"],))
        for problem in category["problems"]:
            _add(found, ROOT / LABELS, None, (problem["label"],))
    return found


def _files(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(ROOT.glob(pattern))


def _add(catalogue: Catalog, path: Path, context: str | None, ids: tuple[str, ...]) -> None:
    place = (str(path.relative_to(ROOT)), 0)
    catalogue.add(ids if len(ids) > 1 else ids[0], locations=[place], context=context)


def _of_template(text: str, name: str) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    for call in _CALL.finditer(templatize(text, origin=name)):
        texts = [str(ast.literal_eval(found.removeprefix("u"))) for found in re.findall(_TEXT, call[2])]
        context = texts.pop(0) if "p" in call[1].removesuffix("gettext") else None
        if texts[0]:
            yield context, tuple(texts)


def _of_python(path: Path) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    with path.open("rb") as source:
        for _line, function, found, _comments in extract_python(source, _KEYWORDS, [], {}):
            # One argument comes bare, several as a tuple; what is no literal is None.
            messages: Any = found
            texts: list[str | None] = [*messages] if isinstance(messages, tuple) else [messages]
            name = str(function)
            context = str(texts.pop(0)) if "pgettext" in name else None
            wanted = texts[: 2 if name.startswith("n") else 1]
            # What is not written out, such as a label in a variable, is found where it is.
            if wanted and all(wanted):
                yield context, tuple(str(text) for text in wanted)


def path_of(language: str) -> Path:
    """Where the catalogue of a language lies."""
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """The catalogue of a language as it stands."""
    with path_of(language).open("rb") as source:
        return read_po(source, locale=language, charset="utf-8")


def update(language: str) -> Catalog:
    """Brings a catalogue up to code and templates: adds what is new, untranslated, and drops what is gone."""
    path = path_of(language)
    if path.exists():
        catalogue = read(language)
    else:
        count, rule = PLURALS[language]
        header = f'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals={count}; plural={rule};\\n"\n'
        catalogue = read_po(io.BytesIO(header.encode()), locale=language, charset="utf-8")
        catalogue.header_comment = "# Outagemap, the visitors' pages. Not yet read by a native speaker."
        catalogue.project, catalogue.version = "Outagemap", "1"
        catalogue.language_team = catalogue.last_translator = catalogue.msgid_bugs_address = ""
        catalogue.creation_date = catalogue.revision_date = datetime(2026, 11, 22, tzinfo=UTC)
    catalogue.update(template(), no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    catalogue.obsolete.clear()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        write_po(target, catalogue, width=110, include_lineno=False, ignore_obsolete=True)
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue as ``gettext`` reads it."""
    target = io.BytesIO()
    write_mo(target, catalogue)
    return target.getvalue()


def faults(catalogue: Catalog) -> list[str]:
    """What is wrong with the translations that are there: placeholders, tags, plural forms."""
    return [f"{message.id!r}: {fault}" for message in catalogue if message.id for fault in _faults(message, catalogue)]


def untranslated(catalogue: Catalog) -> list[str]:
    """The messages that have no translation, or not all forms of it."""
    return [str(message.id) for message in catalogue if message.id and not all(_strings(message))]


def _strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def _faults(message: Message, catalogue: Catalog) -> Iterator[str]:
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    strings = _strings(message)
    if not any(strings):
        return
    if len(ids) > 1 and len(strings) != catalogue.num_plurals:
        yield f"{len(strings)} forms of {catalogue.num_plurals}"
    if message.fuzzy:
        yield "marked as fuzzy"
    wanted = Counter(_PLACEHOLDER.findall(ids[-1]))
    for string in strings:
        if not string:
            yield "a form is missing"
            continue
        found = Counter(_PLACEHOLDER.findall(string))
        differing = (set(wanted) | set(found)) - (set(wanted) & set(found))
        # "Two regions" may be one word, which holds its number.
        if len(ids) > 1:
            needed = {name for name in _PLACEHOLDER.findall(ids[0]) if not _COUNTS.search(name)}
            differing = {name for name in differing if name not in wanted or name in needed}
        if differing:
            yield f"placeholders differ: {', '.join(sorted(differing))} in {string!r}"
        if Counter(_TAG.findall(string)) != Counter(_TAG.findall(ids[-1])):
            yield f"tags differ in {string!r}"
        if _LONE_PERCENT.search(string) and not any(_LONE_PERCENT.search(text) for text in ids):
            yield f"a single % in {string!r}"
        if string[:1].isspace() != ids[0][:1].isspace() or string[-1:].isspace() != ids[0][-1:].isspace():
            yield f"outer space differs in {string!r}"
