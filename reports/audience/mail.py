"""Messages by e-mail, through the operator's own server: plain text and simple HTML, ended by one click (RFC 8058)."""

from __future__ import annotations

import smtplib
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from reports.audience import outgoing
from reports.audience.notices import Words

ANSWER_SECONDS = 15


class _Message(EmailMultiAlternatives):
    """With each header in one line: folded, a long address would begin on a line after an empty one."""

    def message(self, **more: Any) -> Any:
        made = super().message(**more)
        # A line may have 998 characters (RFC 5322, 2.1.1).
        made.policy = made.policy.clone(max_line_length=990)
        return made


def is_on() -> bool:
    """Whether this site sends mail at all."""
    return bool(settings.EMAIL_HOST)


def send(to: str, words: Words, *, subscription: UUID, event: str, language: str) -> outgoing.Answer:
    """Sends ``words``. Raises ``outgoing.Refused`` for an address that the server takes for none, else ``Failed``."""
    if not is_on():
        raise outgoing.Failed("no mail server is set")
    connection = get_connection(
        "django.core.mail.backends.smtp.EmailBackend",
        host=settings.EMAIL_HOST,
        port=settings.EMAIL_PORT,
        username=settings.EMAIL_HOST_USER,
        password=settings.EMAIL_HOST_PASSWORD,
        use_tls=settings.EMAIL_USE_TLS,
        use_ssl=settings.EMAIL_USE_SSL,
        timeout=ANSWER_SECONDS,
    )
    message = _Message(
        subject=words.title,
        body=text(words),
        from_email=settings.EMAIL_FROM,
        to=[to],
        connection=connection,
        headers=_headers(words, subscription, event, language),
    )
    message.attach_alternative(html(words, language=language), "text/html")
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as refused:
        codes = [code for code, _said in refused.recipients.values()]
        if all(code >= 500 for code in codes):
            raise outgoing.Refused(f"the mail server refused the address ({codes[0]})") from refused
        raise outgoing.Failed(f"the mail server put the address off ({codes[0]})") from refused
    except (OSError, smtplib.SMTPException) as error:
        raise outgoing.Failed(type(error).__name__) from error
    return outgoing.Answer(250, None)


def _headers(words: Words, subscription: UUID, event: str, language: str) -> dict[str, str]:
    about, _slash, number = event.partition("/")
    headers = {
        # The same for every attempt, so that a mailbox that got it twice can show it once.
        "Message-ID": _message_id(subscription, event),
        "List-Unsubscribe": f"<{words.manage.url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
        "Content-Language": language,
    }
    if number not in ("", "1"):
        # What is told of one incident is one thread.
        first = _message_id(subscription, f"{about}/1")
        headers |= {"In-Reply-To": first, "References": first}
    return headers


def _message_id(subscription: UUID, event: str) -> str:
    return f"<{uuid5(subscription, event).hex}@{settings.SITE_NAME}>"


def text(words: Words) -> str:
    """The message without any markup."""
    links = [f"{link.text}:\n{link.url}" for link in words.links]
    return "\n\n".join((words.title, *words.lines, *links, f"-- \n{words.manage.text}:\n{words.manage.url}")) + "\n"


def html(words: Words, *, language: str) -> SafeString:
    """The message as HTML that loads nothing from anywhere."""
    with translation.override(language):
        direction = "rtl" if translation.get_language_bidi() else "ltr"
    return format_html(
        '<!doctype html><html lang="{}" dir="{}"><head><meta charset="utf-8"><title>{}</title></head><body>'
        "<h1>{}</h1>{}{}<hr><p>{}</p></body></html>",
        language,
        direction,
        words.title,
        words.title,
        format_html_join("", "<p>{}</p>", ((line,) for line in words.lines)),
        format_html_join("", '<p><a href="{}">{}</a></p>', ((link.url, link.text) for link in words.links)),
        format_html('<a href="{}">{}</a>', words.manage.url, words.manage.text),
    )
