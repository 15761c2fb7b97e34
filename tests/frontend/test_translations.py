"""The catalogues of messages: complete, in step with the code, and without mistakes that a program can see."""

from __future__ import annotations

import ast
import gettext
import io

import pytest
from babel.messages.catalog import Catalog

from frontend import translations

LANGUAGES = tuple(translations.PLURALS)
COMPLETE = (
    "ar",
    "de",
    "es",
    "pt",
    "hi",
)


@pytest.fixture(scope="module")
def wanted() -> set[tuple[str | None, str]]:
    return {_key(message.context, message.id) for message in translations.template() if message.id}


def _key(context: str | None, text: object) -> tuple[str | None, str]:
    return context, text if isinstance(text, str) else " | ".join(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_of_the_pages_has_an_entry(language: str, wanted: set[tuple[str | None, str]]) -> None:
    there = {_key(message.context, message.id) for message in translations.read(language) if message.id}
    assert wanted - there == set(), "run manage.py translations"
    assert there - wanted == set(), "run manage.py translations"


def test_nothing_is_asked_for_within_an_f_string() -> None:
    # Which the extraction does not look into: the sentence would be English in every language, and nobody told.
    hidden = [
        f"{path.name}:{call.lineno}"
        for pattern in translations.PYTHON
        for path in translations.ROOT.glob(pattern)
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("_", "gettext", "ngettext")
    ]
    assert hidden == []


@pytest.mark.parametrize("language", COMPLETE)
def test_every_string_of_the_pages_is_translated(language: str) -> None:
    assert translations.untranslated(translations.read(language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_tags_and_all_plural_forms(language: str) -> None:
    assert translations.faults(translations.read(language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_served_is_what_was_translated(language: str) -> None:
    path = translations.path_of(language)
    assert path.with_suffix(".mo").read_bytes() == translations.compiled(translations.read(language)), (
        "run manage.py translations"
    )


def test_strings_are_found_in_templates_code_and_data(wanted: set[tuple[str | None, str]]) -> None:
    for text in (
        "There is nothing at this address.",
        "This page is not available right now.",
        "{n} region | {n} regions",
        "Sending and receiving messages",
        "Messaging",
        "Outage detected in %(count)s region. | Outage detected in %(count)s regions at once.",
        "{n} %",
    ):
        assert (None, text) in wanted, text
    assert ("in millions", "{n} person | {n} people") in wanted


@pytest.mark.parametrize(
    ("original", "translated", "fault"),
    [
        ("{n} min", "Minuten", "placeholders differ"),
        ("{n} min", "{m} Minuten", "placeholders differ"),
        ('See <a href="%(x)s">it</a>', "Siehe %(x)s", "tags differ"),
        ("%(x)s is up", "%(x)s zu 5 %", "a single %"),
        ("and ", "und", "outer space differs"),
        (("{n} region", "{n} regions"), ("{n} Region", ""), "a form is missing"),
        (("{n} region of {x}", "{n} regions of {x}"), ("eine Region", "{n} Regionen von {x}"), "placeholders differ"),
    ],
)
def test_a_mistake_in_a_translation_is_found(original: object, translated: object, fault: str) -> None:
    catalogue = Catalog(locale="de")
    catalogue.add(original, translated)  # type: ignore[arg-type]
    assert any(fault in found for found in translations.faults(catalogue))


def test_one_region_may_be_a_word_without_a_number() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add(("{n} region of {x}", "{n} regions of {x}"), ("eine Region von {x}", "{n} Regionen von {x}"))
    assert translations.faults(catalogue) == []


def test_a_compiled_catalogue_is_read_by_gettext() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Down", "Gestört")
    assert gettext.GNUTranslations(io.BytesIO(translations.compiled(catalogue))).gettext("Down") == "Gestört"
