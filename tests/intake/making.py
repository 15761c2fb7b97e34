"""A small catalogue for the tests of the intake."""

from __future__ import annotations

from dataclasses import dataclass

from reports.models import Category, Problem, Provider, Region, Service, ServiceAlias


@dataclass(frozen=True)
class Catalogue:
    whatsapp: Service
    instagram: Service
    lloyds: Service
    messages: Problem
    payments: Problem
    england: Region
    scotland: Region
    world: Region


def make_catalogue() -> Catalogue:
    messaging = Category.objects.create(slug="messaging", name="Messaging")
    banks = Category.objects.create(slug="banks", name="Banks")
    messages = Problem.objects.create(category=messaging, slug="messages", label="Sending and receiving")
    Problem.objects.create(category=messaging, slug="login", label="Signing in", position=1)
    payments = Problem.objects.create(category=banks, slug="payments", label="Payments")
    meta = Provider.objects.create(slug="meta", name="Meta")
    group = Provider.objects.create(slug="lloyds-group", name="Lloyds Banking Group")
    whatsapp = Service.objects.create(slug="whatsapp", name="WhatsApp", provider=meta, category=messaging)
    ServiceAlias.objects.create(service=whatsapp, alias="Whats App")
    instagram = Service.objects.create(slug="instagram", name="Instagram", provider=meta, category=messaging)
    lloyds = Service.objects.create(
        slug="lloyds-bank", name="Lloyds Bank", provider=group, category=banks, countries=["GB"]
    )
    world = Region.objects.create(code="001", name="World", kind="world")
    britain = Region.objects.create(code="GB", name="United Kingdom", kind="country", parent=world)
    england = Region.objects.create(code="GB-ENG", name="England", kind="nation", parent=britain)
    scotland = Region.objects.create(code="GB-SCT", name="Scotland", kind="nation", parent=britain)
    Region.objects.create(code="GB~LON", name="London", kind="subdivision", parent=england)
    return Catalogue(
        whatsapp=whatsapp,
        instagram=instagram,
        lloyds=lloyds,
        messages=messages,
        payments=payments,
        england=england,
        scotland=scotland,
        world=world,
    )
