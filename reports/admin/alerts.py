"""Who is told of outages, and what did not reach them: looked at here, sent again, and ended."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import ngettext

from reports.admin.readonly import ReadOnlyAdmin
from reports.audience import alerts
from reports.models import Channel, Delivery, Subscription


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Who wished to be told what. Nobody's address is shown whole, and no key."""

    list_display = (
        "channel",
        "to",
        "wish",
        "service",
        "region",
        "severity",
        "created_at",
        "confirmed_at",
        "paused_at",
        "failures",
    )
    list_filter = (
        "channel",
        "wish",
        "severity",
        ("confirmed_at", admin.EmptyFieldListFilter),
        ("paused_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("service", "region")
    search_fields = ("service__name", "region__name", "=target")
    fields = (*list_display, "group", "language", "time_zone", "expires_at")
    actions = ("remove",)

    @admin.display(description="to")
    def to(self, row: Subscription) -> str:
        """Enough of the address to know it again: a webhook's address is a key, and a mailbox somebody's."""
        if row.channel == Channel.MAIL:
            name, _at, host = row.target.rpartition("@")
            return f"{name[:1]}…@{host}"
        return "/".join(row.target.split("/")[:3]) + "/…"

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete subscriptions."""
        return request.user.has_perm("reports.delete_subscription")

    @admin.action(description="Remove: tell them nothing more", permissions=["remove"])
    def remove(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Ends the chosen subscriptions, with what was still to be sent, and notes it in the log of the desk."""
        removed = list(rows)
        for row in removed:
            self.log_change(request, row, "Removed.")
        Subscription.objects.filter(pk__in=[row.pk for row in removed]).delete()
        said = ngettext("%d subscription removed.", "%d subscriptions removed.", len(removed)) % len(removed)
        self.message_user(request, said, messages.SUCCESS)


class _StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """What a message may have come to."""
        return [("dead", "given up"), ("waiting", "on its way"), ("delivered", "delivered")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Those of the chosen state."""
        if self.value() == "dead":
            return queryset.filter(dead_at__isnull=False)
        if self.value() == "waiting":
            return queryset.filter(dead_at=None, delivered_at=None)
        return queryset.filter(delivered_at__isnull=False) if self.value() == "delivered" else queryset


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Messages, and what became of each. What was given up can be sent again."""

    list_display = ("created_at", "channel", "event", "state", "attempts", "next_attempt_at", "fault")
    list_filter = (_StateFilter, "subscription__channel")
    list_select_related = ("subscription",)
    search_fields = ("event", "fault")
    fields = (*list_display, "delivered_at", "dead_at", "subscription")
    date_hierarchy = "created_at"
    actions = ("send_again",)

    @admin.display(description="by")
    def channel(self, row: Delivery) -> str:
        """How it is sent."""
        return Channel(row.subscription.channel).label

    @admin.display(description="state")
    def state(self, row: Delivery) -> str:
        """Given up, delivered, or on its way."""
        return "given up" if row.dead_at else "delivered" if row.delivered_at else "on its way"

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Whoever may change deliveries."""
        return request.user.has_perm("reports.change_delivery")

    @admin.action(description="Send again what was given up", permissions=["send"])
    def send_again(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Puts the chosen messages back on their way, and notes it in the log of the desk."""
        dead = list(rows.filter(dead_at__isnull=False))
        for row in dead:
            self.log_change(request, row, "To be sent again.")
        sent = alerts.send_again([row.pk for row in dead], now=timezone.now())
        said = ngettext("%d message is sent again.", "%d messages are sent again.", sent) % sent
        self.message_user(request, said, messages.SUCCESS)
