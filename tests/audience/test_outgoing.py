"""Requests to strangers' addresses: what is refused, however it is written, named or answered."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from reports.audience import outgoing, push
from tests.audience.service import Browser, PushService
from tests.hearing.conftest import page
from tests.hearing.page import Document, StatusPage

__all__ = ["page"]


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.org/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://[64:ff9b::a00:1]/",
        "https://localhost/x",
        "https://database/x",
        "https://user:word@push.example.org/x",
        "https://push.example.org:99999/x",
        "https://push.example.org/a b",
        "https://push.example.org/\r\nX: y",
        "file:///etc/passwd",
        "https://" + "a" * 2000,
        "",
    ],
)
def test_what_is_no_public_https_address_is_refused(url: str) -> None:
    with pytest.raises(outgoing.Refused):
        outgoing.check(url)


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost.localdomain", "localhost"])
def test_names_and_odd_spellings_of_this_machine_are_refused_when_connecting(host: str) -> None:
    with pytest.raises((outgoing.Refused, outgoing.Failed)) as refused:
        outgoing.post(f"https://{host}/x", body=b"", headers={})
    # Without a resolver an odd spelling may just fail; it never connects.
    assert refused.type is outgoing.Refused or str(refused.value) == "gaierror"


def test_whoever_answers_too_slowly_is_cut_off(push_service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.5)
    push_service.seconds["/slow"] = 5
    with pytest.raises(outgoing.Failed):
        outgoing.post(push_service.origin + "/slow", body=b"x", headers={})


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": None},
        {"endpoint": 5},
        {"endpoint": "http://push.example.org/x"},
        {"keys": None},
        {"keys": {"p256dh": "x", "auth": "y"}},
        {"keys": {"p256dh": "é", "auth": "y"}},
        {"keys": {"auth": "c2l4dGVlbiBieXRlcyBvaw"}},
    ],
)
def test_what_no_browser_gives_is_no_subscription(change: dict[str, object]) -> None:
    good = Browser().subscription("https://push.example.org/x")
    assert push.read(good)[0] == "https://push.example.org/x"
    with pytest.raises(push.Malformed):
        push.read(good | change)


def test_a_point_off_the_curve_is_no_key() -> None:
    bad = Browser().subscription("https://push.example.org/x")
    bad["keys"]["p256dh"] = "B" + "A" * 86
    with pytest.raises(push.Malformed):
        push.read(bad)


def test_the_sites_key_is_the_same_in_every_process_and_another_on_another_site() -> None:
    import subprocess
    import sys

    code = (
        "import os, django; os.environ['DJANGO_SETTINGS_MODULE']='outagemap.settings'; django.setup();"
        "from reports.audience import push; print(push.public_key())"
    )

    def key_of(**more: str) -> str:
        import os

        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | more, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert key_of() == push.public_key()
    assert key_of(SECRET_KEY="another") != push.public_key()
    given = key_of(VAPID_PRIVATE_KEY="A" * 42 + "E")
    assert given not in ("", push.public_key())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:7f00:1",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ],
)
def test_no_address_of_a_machine_near_by_is_public_in_whatever_clothes(address: str) -> None:
    assert not outgoing._is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "64:ff9b::5db8:d70e", "2002:5db8:d70e::"])
def test_what_is_public_stays_so(address: str) -> None:
    assert outgoing._is_public(ipaddress.ip_address(address))


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names mean what ``answers`` say, one after the other; every other word of the resolver is real."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if not host.endswith(".example"):
            return real(host, port, *rest, **more)
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        # One public address does not make the other one so.
        ["93.184.215.14", "127.0.0.1"],
        ["93.184.215.14", "fe80::1%eth0"],
    ],
)
def test_a_name_that_means_a_machine_near_by_is_refused_and_that_machine_hears_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    settings.ALLOW_PRIVATE_TARGETS = False
    resolving(monkeypatch, answer)
    with socket.create_server(("127.0.0.1", 0)) as here:
        with pytest.raises(outgoing.Refused):
            outgoing.post(f"https://push.example:{here.getsockname()[1]}/x", body=b"", headers={})
        assert visitors(here) == 0


def visitors(server: socket.socket) -> int:
    """How many have come to a server so far."""
    server.settimeout(0.3)
    found = 0
    with suppress(TimeoutError):
        while True:
            server.accept()[0].close()
            found += 1
    return found


def test_a_name_is_asked_for_once_and_what_it_means_a_moment_later_changes_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked at it is a public address; asked for again, where a connection would be made, it would be this machine.
    settings.ALLOW_PRIVATE_TARGETS = False
    monkeypatch.setattr(outgoing, "CONNECT_SECONDS", 1.0)
    asked = resolving(monkeypatch, ["203.0.113.7", "127.0.0.1"], ["127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        with pytest.raises(outgoing.Refused):
            outgoing.post(f"https://push.example:{port}/x", body=b"", headers={})
        settings.ALLOW_PRIVATE_TARGETS = True
        first = resolving(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        with pytest.raises(outgoing.Failed):
            # Nobody listens at the address it meant; that it means another one by now is not asked.
            outgoing.post(f"https://push.example:{port}/x", body=b"", headers={})
        assert (asked, first) == (["push.example"], ["push.example"])
        assert visitors(here) == 0


def test_a_name_whose_servers_never_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "RESOLVE_SECONDS", 0.3)
    ever = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_rest, **_more: ever.wait(30))
    began = time.monotonic()
    with pytest.raises(outgoing.Failed, match="TimeoutError"):
        outgoing.post("https://push.example/x", body=b"", headers={})
    ever.set()
    assert time.monotonic() - began < 5


def test_a_hundred_addresses_that_hang_are_not_all_tried(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_TARGETS = True
    monkeypatch.setattr(outgoing, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        # Its queue is full: whoever comes waits.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        resolving(monkeypatch, ["127.0.0.1"] * 100)
        began = time.monotonic()
        with pytest.raises(outgoing.Failed):
            outgoing.post(f"https://push.example:{port}/x", body=b"", headers={})
        assert time.monotonic() - began < 5
        for each in waiting:
            each.close()


def test_whoever_answers_a_byte_at_a_time_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, push_service: PushService
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 1.0)
    push_service.drips.add("/drip")
    began = time.monotonic()
    with pytest.raises(outgoing.Failed):
        outgoing.post(push_service.origin + "/drip", body=b"", headers={})
    assert time.monotonic() - began < 8


def seconds_until_it_fails(url: str) -> float:
    began = time.monotonic()
    with pytest.raises(outgoing.Failed):
        outgoing.post(url, body=b"", headers={})
    return time.monotonic() - began


def test_the_time_for_all_of_it_holds_while_the_name_of_a_second_step_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, page: StatusPage
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 1.5)
    page.documents["/moved"] = Document(status=301, headers={"Location": "/hangs"}, seconds=1)
    page.documents["/hangs"] = Document(seconds=8)
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> list[Any]:
        asked.append(host)
        if len(asked) == 2:
            # Longer than what is left of all of it: when the watchdog comes there is nothing to cut yet.
            time.sleep(1)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    began = time.monotonic()
    with pytest.raises(outgoing.Failed, match="TimeoutError"):
        outgoing.get(page.origin + "/moved", headers={}, most_bytes=100)
    assert time.monotonic() - began < 5
    assert [path for path, _headers in page.asked] == ["/moved"]


def test_the_time_for_all_of_it_holds_while_a_machine_is_called(
    monkeypatch: pytest.MonkeyPatch, push_service: PushService
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.5)
    push_service.drips.add("/drip")
    called: list[float | None] = []

    class Far(socket.socket):
        def connect(self, address: Any) -> None:
            called.append(self.gettimeout())
            time.sleep(1)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Far)
    assert seconds_until_it_fails(push_service.origin + "/drip") < 3
    assert push_service.received == []
    assert max(seconds or 60 for seconds in called) <= 0.5


def test_whoever_never_shakes_hands_is_cut_off(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_TARGETS = True
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert seconds_until_it_fails(f"https://127.0.0.1:{silent.getsockname()[1]}/x") < 3
