import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

READ = "from django.conf import settings; print(settings.{name})"


def start(tmp_path, show="PORT", **environment):
    clean = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    clean |= {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "outagemap.settings"} | environment
    done = subprocess.run(
        [sys.executable, "-c", READ.format(name=show)], env=clean, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip().splitlines()[-1:]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "eighty"),
        ("PORT", "８０００"),
        ("DEBUG", "maybe"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("ALLOWED_HOSTS", "https://example.org/"),
        ("RETENTION_DAYS", "1"),
        ("API_READS_PER_MINUTE", "many"),
        ("API_KEY_READS_PER_MINUTE", "-1"),
        ("DATABASE_URL", "mysql://root@localhost/x"),
        ("DATABASE_URL", "postgresql://h/x?sillymode=on"),
        ("REDIS_URL", "localhost:6379"),
        ("LOG_LEVEL", "loud"),
        ("VAPID_PRIVATE_KEY", "short"),
        ("PUSH_CONTACT", "me"),
        ("ALLOW_PRIVATE_TARGETS", "some"),
        ("SITE_URL", "outages.example"),
        ("SITE_URL", "https://outages.example/path"),
        ("EMAIL_URL", "mail.example"),
        ("EMAIL_URL", "smtp://"),
        ("EMAIL_URL", "smtps://mail.example:port"),
        ("EMAIL_URL", "smtp://mail.example/inbox"),
        ("EMAIL_URL", "smtp://mail.example"),
        ("EMAIL_FROM", "me"),
        ("STANDBY", "perhaps"),
        ("STANDBY_MB", "0"),
        ("ADMIN_USER", "root"),
        ("HTTPS", "ja"),
        ("REPLAY", "nope"),
    ],
)
def test_an_odd_value_stops_the_start_and_names_the_variable(tmp_path, name, value):
    code, _, last = start(tmp_path, **{name: value})
    assert code != 0
    assert name in last[0]
    assert "expected" in last[0]


def test_a_refused_url_does_not_show_its_password(tmp_path):
    _, _, last = start(tmp_path, DATABASE_URL="mysql://me:opensesame@db/x")
    assert "opensesame" not in last[0]


def test_a_mail_server_is_read_whole_from_one_address(tmp_path):
    given = {"EMAIL_URL": "smtp+starttls://me:open%2Fsesame@mail.example", "EMAIL_FROM": "Outagemap <me@mail.example>"}
    shown = "EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD"
    assert start(tmp_path, show=shown, **given)[1] == "mail.example 587 me open/sesame"
    assert start(tmp_path, show="EMAIL_USE_TLS, settings.EMAIL_USE_SSL", **given)[1] == "True False"


def test_the_secret_key_is_made_once_and_kept_from_others(tmp_path):
    first = start(tmp_path, show="SECRET_KEY", SECRET_KEY="")
    assert first == start(tmp_path, show="SECRET_KEY", SECRET_KEY="")
    assert len(first[1]) > 40
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_the_databases_of_two_folders_are_two(tmp_path):
    assert start(tmp_path / "a", show="DATABASE_URL")[1] != start(tmp_path / "b", show="DATABASE_URL")[1]


def test_an_unset_variable_and_an_empty_one_are_the_same(tmp_path):
    assert start(tmp_path, PORT="", DEBUG="")[1] == "8000"


def test_https_without_the_proxy_that_ends_tls_would_redirect_for_ever_and_is_refused(tmp_path):
    code, _, last = start(tmp_path, HTTPS="1")
    assert code != 0
    assert "TRUSTED_PROXIES" in last[0]
    assert start(tmp_path, show="SECURE_PROXY_SSL_HEADER", HTTPS="1", TRUSTED_PROXIES="10.0.0.2")[1] != "None"


def test_every_variable_that_is_read_is_in_the_example_and_the_operations_page():
    read = set(re.findall(r'environment\.\w+\(\s*"([A-Z_]+)"', (ROOT / "outagemap" / "settings.py").read_text()))
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read == offered - {"DATABASE_PASSWORD"}  # that one is for docker compose
    assert read == set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
