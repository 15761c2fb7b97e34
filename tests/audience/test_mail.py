"""Being told by e-mail: through a real SMTP server, after a yes by a link, ended by one click."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.test import Client
from pytest_django.fixtures import Settings

from reports.audience import alerts
from reports.audience.deliveries import Sent
from reports.models import Delivery, Incident, Service, Subscription
from tests.audience.test_alerts import MINUTE, REAL, back, down, resolve, tell
from tests.status import making
from tests.status.making import World

TO = "ada@example.org"


class Mailbox:
    """A mail server that keeps what it gets, and answers a recipient as it is told to."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answer = ""
        self.verdict = "250 OK"
        self.seconds = 0.0
        self.port = 0
        self.signed_in: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.recipients += envelope.rcpt_tos
        await asyncio.sleep(self.seconds)
        return self.verdict

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.signed_in.append(f"{data.login.decode()} {data.password.decode()}")
        return AuthResult(success=data.password == b"opensesame")


@contextmanager
def serving(box: Mailbox, *, open_to_all: bool = False) -> Iterator[int]:
    """The port on which a server takes mail for ``box``, from whoever signs in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known: dict[str, Any] = {"authenticator": box.authenticate, "auth_require_tls": False}
    controller = Controller(box, hostname="127.0.0.1", port=port, **({} if open_to_all else known))
    controller.start()
    yield port
    controller.stop()


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    box = Mailbox()
    with serving(box) as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "outagemap", "opensesame"
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_FROM = "Outagemap <alerts@example.net>"
        settings.SITE_URL = "https://outages.example"
        yield box


def ask(**more: Any) -> alerts.Asked:
    wanted: dict[str, Any] = {
        "services": ["whatsapp"],
        "region": "GB-ENG",
        "severity": "minor",
        "language": "en",
        "now": REAL,
    } | more
    asked = alerts.subscribe(channel="mail", target=TO, **wanted)
    assert asked is not None
    return asked


def confirmed(box: Mailbox, **more: Any) -> alerts.Asked:
    asked = ask(**more)
    assert tell() == Sent(delivered=1)
    assert alerts.confirm(asked.id, now=REAL)
    box.received.clear()
    return asked


def plain(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def path_of(message: EmailMessage) -> str:
    found = re.fullmatch(r"<https://outages\.example(/.*)>", message["List-Unsubscribe"])
    assert found is not None
    return found[1]


def test_nothing_but_the_question_is_sent_before_a_yes_by_the_link(
    world: World, mailbox: Mailbox, client: Client, uncollected: None
) -> None:
    form = {"service": "whatsapp", "country": "GB", "region": "GB-ENG", "severity": "minor", "channel": "mail"}
    answered = client.post("/alerts/", form | {"target": TO}).content.decode()
    assert "Look into your mailbox." in answered
    assert "/alerts/" not in answered.partition("<main")[2].partition("</main")[0], "the link is in the mailbox only"
    # As told to a stranger who tries the same address.
    assert client.post("/alerts/", form | {"target": TO}).content.decode() == answered
    Subscription.objects.update(created_at=REAL, expires_at=REAL + timedelta(days=1))
    Delivery.objects.update(next_attempt_at=REAL)
    down(world)
    assert tell() == Sent(delivered=1)
    assert tell(MINUTE) == Sent()
    (question,) = mailbox.received
    assert mailbox.recipients == [TO]
    assert mailbox.signed_in == ["outagemap opensesame"]
    assert question["From"] == "Outagemap <alerts@example.net>"
    assert question["Subject"] == "Shall we tell you here of outages of WhatsApp in England?"
    path = path_of(question)
    assert path in plain(question)
    assert "Shall we tell you?" in client.get(path).content.decode()
    assert Subscription.objects.get().confirmed_at is None, "a program that looks at links says nothing"
    assert "You will be told." in client.post(path, {"do": "confirm"}).content.decode()
    assert tell(2 * MINUTE) == Sent(delivered=1)
    assert mailbox.received[1]["Subject"] == "WhatsApp is down in England"


def test_a_message_says_where_why_and_what_still_works_and_asks_whether_it_is_so(
    world: World, mailbox: Mailbox
) -> None:
    confirmed(mailbox)
    incident = down(world, "GB-ENG")
    assert tell() == Sent(delivered=1)
    (message,) = mailbox.received
    assert message.get_content_type() == "multipart/alternative"
    for body in (plain(message), html(message).replace("&amp;", "&")):
        for part in (
            "WhatsApp is down in England",
            "412 reports in 12 minutes, where 9.1 are usual.",
            "Down: England.",
            "still work: Facebook and Instagram.",
            "https://outages.example/services/whatsapp/ask/?region=GB-ENG&kind=down",
            "https://outages.example/services/whatsapp/ask/?region=GB-ENG&kind=working",
            f"https://outages.example/incidents/{incident.ref}/",
            path_of(message),
        ):
            assert part in body
    assert "<img" not in html(message)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"


def test_one_click_ends_it_as_mail_programs_send_it(
    world: World, mailbox: Mailbox, client: Client, uncollected: None
) -> None:
    confirmed(mailbox)
    down(world)
    tell()
    path = path_of(mailbox.received[0])
    assert client.get(path).status_code == 200
    assert Subscription.objects.count() == 1
    one_click = {"List-Unsubscribe": "One-Click"}
    assert client.post(path, one_click).status_code == 200
    assert not Subscription.objects.exists()
    # Some programs send it twice.
    assert client.post(path, one_click).status_code == 200
    assert client.get(path).status_code == 404


def test_the_page_ends_it_without_a_script(world: World, mailbox: Mailbox, client: Client, uncollected: None) -> None:
    confirmed(mailbox)
    down(world)
    tell()
    path = path_of(mailbox.received[0])
    page = client.get(path).content.decode()
    assert 'name="do" value="stop"' in page
    assert "<script" not in page.partition("<main")[2].partition("</main")[0]
    assert (
        "You are no longer told of outages of WhatsApp in England."
        in client.post(path, {"do": "stop"}).content.decode()
    )


def test_what_follows_is_one_thread_and_comes_each_half_hour_at_most(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox, region="001")
    incident = down(world, "GB-ENG")
    assert tell() == Sent(delivered=1)
    making.take_down(incident, world.regions["BR-SP"])
    assert tell(29 * MINUTE) == Sent()
    assert tell(30 * MINUTE) == Sent(delivered=1)
    resolve(incident)
    assert tell(36 * MINUTE) == Sent(delivered=1)
    first, second, third = mailbox.received
    assert second["In-Reply-To"] == third["In-Reply-To"] == first["Message-ID"]
    assert third["Subject"] == "The outage of WhatsApp is over"
    assert "kind=working" not in plain(third)


def test_a_message_tried_again_bears_the_name_of_the_first(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox)
    down(world)
    tell()
    Delivery.objects.filter(notice__isnull=False).update(delivered_at=None, next_attempt_at=REAL + MINUTE)
    assert tell(MINUTE) == Sent(delivered=1)
    assert len({message["Message-ID"] for message in mailbox.received}) == 1


@pytest.mark.parametrize(
    ("answer", "sent", "fault"),
    [
        ("550 no such mailbox", Sent(given_up=1), "the mail server refused the address (550)"),
        ("451 come again", Sent(failed=1), "the mail server put the address off (451)"),
    ],
)
def test_a_refused_address_is_given_up_and_one_put_off_is_tried_again(
    world: World, mailbox: Mailbox, answer: str, sent: Sent, fault: str
) -> None:
    mailbox.answer = answer
    ask()
    assert tell() == sent
    assert Delivery.objects.get().fault == fault


def test_a_server_that_is_away_loses_nothing(world: World, mailbox: Mailbox, settings: Settings) -> None:
    confirmed(mailbox)
    down(world)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    assert tell() == Sent(failed=1)
    settings.EMAIL_PORT = port
    assert tell(MINUTE) == Sent(delivered=1)


def test_a_wrong_password_is_a_failure_and_not_shown(world: World, mailbox: Mailbox, settings: Settings) -> None:
    settings.EMAIL_HOST_PASSWORD = "wrong-password"
    ask()
    assert tell() == Sent(failed=1)
    # Some servers say so, others hang up.
    assert Delivery.objects.get().fault in {"SMTPAuthenticationError", "SMTPServerDisconnected"}


def test_without_a_server_mail_is_not_offered(
    world: World, settings: Settings, client: Client, uncollected: None
) -> None:
    settings.EMAIL_HOST = ""
    assert "mail" not in alerts.channels()
    assert '"mail"' not in client.get("/alerts/").content.decode()
    with pytest.raises(alerts.Refused):
        ask()


@pytest.mark.parametrize(
    "target", ["ada", "ada@", "ada@example.org\nBcc: eve@example.org", "a@b.c, d@e.f", "x" * 300 + "@a.org"]
)
def test_what_is_no_address_is_refused(world: World, mailbox: Mailbox, target: str) -> None:
    with pytest.raises(alerts.Refused, match="target"):
        alerts.subscribe(
            channel="mail", target=target, services=["whatsapp"], region="GB", severity="minor", language="en", now=REAL
        )


def test_a_rejected_incident_is_told_as_no_outage(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox)
    incident = down(world)
    tell()
    Incident.objects.filter(pk=incident.pk).update(rejected_at=making.NOW, rejected_reason="a test")
    assert tell(6 * MINUTE) == Sent(delivered=1)
    assert mailbox.received[1]["Subject"] == "WhatsApp: on review this was no outage"


def test_an_arabic_message_reads_from_the_right(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox, language="ar")
    down(world)
    tell()
    assert 'lang="ar" dir="rtl"' in html(mailbox.received[0])
    assert "https://outages.example/ar/" in plain(mailbox.received[0])


@pytest.mark.parametrize(
    ("verdict", "sent", "fault"),
    [
        ("554 no such words here", Sent(given_up=1), "the mail server refused the message (554)"),
        ("452 the disk is full", Sent(failed=1), "the mail server put the message off (452)"),
    ],
)
def test_a_refused_message_lies_at_the_desk_and_one_put_off_is_tried_again(
    world: World, mailbox: Mailbox, verdict: str, sent: Sent, fault: str
) -> None:
    mailbox.verdict = verdict
    ask()
    assert tell() == sent
    assert Delivery.objects.get().fault == fault


def test_a_name_with_a_line_break_makes_no_header(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox)
    Service.objects.filter(pk=world.whatsapp.pk).update(name="What\r\nBcc: eve@example.org\r\n\r\n<b>App</b>")
    down(world)
    assert tell() == Sent(delivered=1)
    (message,) = mailbox.received
    assert message["Bcc"] is None
    assert mailbox.recipients == [TO, TO]
    assert message["Subject"] == "What Bcc: eve@example.org <b>App</b> is down in England"
    assert "<b>" not in html(message)


def test_the_message_has_a_reader_in_mind_and_nothing_that_watches_them(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox, time_zone="Europe/Berlin")
    down(world)
    tell()
    (message,) = mailbox.received
    # 18:02 UTC is two hours later there in April.
    assert "Since about 20:02 (18:02 UTC)." in plain(message)
    body = html(message)
    for what in ("<img", "<script", "<link", "url(", "@import", "http://"):
        assert what not in body
    assert set(re.findall(r'href="(https://[^/"]*)', body)) == {"https://outages.example"}
    # Both buttons are in reach of a thumb, and what they say is in the plain part too.
    for words in ("Yes, it is down for me", "No, it works", "Change or stop these messages"):
        assert words in body
        assert words in plain(message)


def test_an_outage_that_comes_back_asks_whether_it_is_back(world: World, mailbox: Mailbox) -> None:
    confirmed(mailbox)
    incident = down(world)
    tell()
    incident.regions.update(recovering_at=making.at("19:30"))
    assert tell(30 * MINUTE) == Sent(delivered=1)
    message = mailbox.received[1]
    assert message["Subject"] == "WhatsApp seems to come back in England"
    assert "Is WhatsApp back for you?" in plain(message)
    assert "?region=GB-ENG&kind=working&back=1" in plain(message)


def test_who_asked_for_a_region_is_done_when_it_is_back_though_it_goes_on_elsewhere(
    world: World, mailbox: Mailbox
) -> None:
    confirmed(mailbox)
    incident = down(world, "GB-ENG", "BR-SP")
    tell()
    back(incident.regions.get(region_code="GB-ENG"))
    # As soon as the end of all of it would be told.
    assert tell(5 * MINUTE) == Sent(delivered=1)
    message = mailbox.received[1]
    assert message["Subject"] == "WhatsApp seems to be back in England"
    assert "Down from about 18:02 UTC until about 19:40 UTC." in plain(message)
    assert "Is WhatsApp back for you?" in plain(message)
    # What follows elsewhere is no news here.
    resolve(incident)
    assert tell(60 * MINUTE) == Sent()
