"""``manage.py make_roles``: the roles of the desk, as ordinary Django groups. May run at every start."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q

# What an act at the desk asks for, by role; everybody may look at everything but keys and accounts.
DUTY = Q(
    content_type__app_label="reports",
    codename__in=(
        "change_incident",
        "add_statement",
        "change_regionaloutage",
        "change_quarantine",
        "add_ban",
        "change_ban",
        "add_whatif",
    ),
)
CATALOGUE = Q(
    content_type__app_label="reports",
    content_type__model__in=(
        "provider",
        "service",
        "servicealias",
        "problem",
        "region",
        "category",
        "servicedependency",
        "statusfeed",
    ),
)
LOOK = Q(content_type__app_label="reports", codename__startswith="view_") & ~Q(content_type__model="apikey")
OWNER = Q(content_type__app_label="reports") | Q(
    content_type__app_label__in=("auth", "axes", "otp_totp", "otp_static"),
)
ROLES = {"duty": LOOK | DUTY, "catalogue": LOOK | CATALOGUE, "owner": OWNER}


class Command(BaseCommand):
    """Makes the groups where they are missing, and gives each the permissions that it lacks; takes none away."""

    help = "Makes the groups duty, catalogue and owner, with their permissions."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        for name, what in ROLES.items():
            role, made = Group.objects.get_or_create(name=name)
            wanted = Permission.objects.filter(what)
            role.permissions.add(*wanted)
            if made and options["verbosity"]:
                self.stdout.write(f"{name}: {len(wanted)} permissions")
