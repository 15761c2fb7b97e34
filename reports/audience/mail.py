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
SUBJECT_CHARACTERS = 200


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
        # A line break in a name from the catalogue would be refused as an injected header, each time it is tried.
        subject=" ".join(words.title.split())[:SUBJECT_CHARACTERS],
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
    except smtplib.SMTPDataError as refused:
        # The message itself: another attempt would be the same one. (Refusing our sender or password is no fault of
        # the message, and is over as soon as the operator has put it right.)
        if refused.smtp_code >= 500:
            raise outgoing.Refused(f"the mail server refused the message ({refused.smtp_code})") from refused
        raise outgoing.Failed(f"the mail server put the message off ({refused.smtp_code})") from refused
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


# Styles stand in the elements, since some programs read no others; what is in the head makes it dark where the reader
# wants that, and programs that know nothing of it show black on white.
_STYLE = (
    ":root{color-scheme:light dark;supported-color-schemes:light dark}"
    "@media(prefers-color-scheme:dark){.page{background:#15171a!important}.ink{color:#ececec!important}"
    ".soft{color:#a9b0b7!important}.button{background:#ececec!important;color:#15171a!important}"
    ".quiet{background:#15171a!important;color:#ececec!important;border-color:#8b9198!important}"
    ".foot{border-color:#3a3f45!important}}"
)
_FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Arial,sans-serif"
_BUTTON = (
    "display:inline-block;margin:0 12px 12px 0;padding:12px 20px;border:1px solid #17191c;border-radius:8px;"
    "font-size:16px;line-height:20px;font-weight:600;text-decoration:none;"
)


def html(words: Words, *, language: str) -> SafeString:
    """The message as HTML that loads nothing from anywhere: a column as wide as a telephone, or 560 pixels."""
    with translation.override(language):
        rtl = translation.get_language_bidi()
    direction, start = ("rtl", "right") if rtl else ("ltr", "left")
    button = _BUTTON.replace("0 12px 12px 0", "0 0 12px 12px") if rtl else _BUTTON
    # What people are asked are buttons; the last link is one to read.
    asked, read = (words.links[:-1], words.links[-1:]) if len(words.links) > 1 else (words.links, ())
    buttons = format_html_join(
        "",
        '<a class="{}" href="{}" style="{}{}">{}</a>',
        (
            (
                "quiet" if number else "button",
                link.url,
                button,
                "background:#ffffff;color:#17191c" if number else "background:#17191c;color:#ffffff",
                link.text,
            )
            for number, link in enumerate(asked)
        ),
    )
    more = format_html_join(
        "",
        '<p style="margin:8px 0 0"><a class="ink" href="{}" style="color:#17191c">{}</a></p>',
        ((link.url, link.text) for link in read),
    )
    lines = format_html_join("", '<p style="margin:0 0 12px">{}</p>', ((line,) for line in words.lines))
    return format_html(
        '<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style></head>'
        '<body class="page" style="margin:0;padding:0;background:#ffffff">'
        '<table role="presentation" width="100%" cellspacing="0" cellpadding="0" border="0" dir="{direction}"><tr>'
        '<td align="center" style="padding:24px 16px">'
        '<table role="presentation" width="100%" cellspacing="0" cellpadding="0" border="0" '
        'style="max-width:560px"><tr>'
        '<td class="ink" align="{start}" style="{font};font-size:16px;line-height:24px;color:#17191c">'
        '<h1 style="margin:0 0 16px;font-size:24px;line-height:30px;font-weight:700">{title}</h1>{lines}'
        '<div style="margin:20px 0 0">{buttons}</div>{more}'
        '<p class="soft foot" style="margin:28px 0 0;padding:16px 0 0;border-top:1px solid #dedad0;font-size:14px;'
        'line-height:20px;color:#596068"><a class="soft" href="{manage}" style="color:#596068">{stop}</a></p>'
        "</td></tr></table></td></tr></table></body></html>",
        language=language,
        direction=direction,
        start=start,
        title=words.title,
        style=SafeString(_STYLE),
        font=SafeString(_FONT),
        lines=lines,
        buttons=buttons,
        more=more,
        manage=words.manage.url,
        stop=words.manage.text,
    )
