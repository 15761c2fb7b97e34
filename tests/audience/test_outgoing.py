import pytest

from reports.audience import outgoing, push
from tests.audience.service import Browser, PushService


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
