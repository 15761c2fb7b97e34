"""The container files, as far as they can be checked without a container engine."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from reports.management.commands.up import QUEUES, WEB_LIMITS

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "outagemap"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def image_command():
    found = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return yaml.safe_load(found[1])


def test_every_command_names_a_program_of_the_environment():
    for name, service in OURS.items():
        program = service.get("command", image_command())[0]
        assert Path(sys.executable).with_name(program).exists(), f"{name} runs {program}"


def test_the_web_server_takes_as_many_connections_in_a_container():
    command = image_command()
    assert tuple(command[command.index("--backlog") : -1]) == WEB_LIMITS


def test_every_queue_has_a_worker_and_every_worker_a_queue():
    commands = [service["command"] for service in OURS.values() if "worker" in service.get("command", [])]
    taken = {command[command.index("--queues") + 1] for command in commands}
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    assert taken == set(QUEUES) == routed | {settings.CELERY_TASK_DEFAULT_QUEUE}


def test_what_a_service_waits_for_exists_and_can_become_healthy():
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], f"{name} waits for {other}"
            else:
                assert SERVICES[other]["restart"] == "no", f"{name} waits for the end of {other}"


def test_the_database_is_prepared_once_before_anything_uses_it():
    assert OURS["prepare"]["command"] == ["python", "manage.py", "up", "--prepare"]
    users = set(OURS) - {"prepare"}
    assert all(OURS[name]["depends_on"]["prepare"]["condition"] == "service_completed_successfully" for name in users)


def test_nothing_of_ours_runs_as_root_or_writes_outside_tmp():
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["tmpfs"] == ["/tmp:size=256m"]
        assert "user" not in service


def test_every_volume_is_declared_and_every_declared_one_is_used():
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])


def test_every_variable_of_the_compose_file_is_in_the_example():
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked <= offered


def test_the_image_takes_in_what_it_copies():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        copied |= {str(Path(source)) for source in shlex.split(line)[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("name", ["granian", "celery"])
def test_the_options_in_the_container_files_are_known(name):
    """The programs' own parsers, which know of every option whether it exists."""
    options = [word for word in image_command() if word.startswith("--")] if name == "granian" else []
    for service in OURS.values():
        if service.get("command", [""])[0] == name:
            options += [word.split("=")[0] for word in service["command"] if word.startswith("--")]
    if name == "granian":
        from granian.cli import cli as command

        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    else:
        from celery.bin.beat import beat
        from celery.bin.worker import worker

        known = {option for command in (worker, beat) for parameter in command.params for option in parameter.opts}
    assert set(options) <= known
