"""The desk: where incidents are judged and the catalogue is kept. Imported by ``outagemap.urls``."""

# Registers users and groups: the admin's autodiscovery, which would, cannot run here (see settings.INSTALLED_APPS).
import axes.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401
import django_otp.plugins.otp_static.admin
import django_otp.plugins.otp_totp.admin  # noqa: F401

from reports.admin import (  # noqa: F401
    acts,
    alerts,
    audience,
    catalogue,
    hearing,
    incidents,
    intake,
    networks,
    retention,
    what_if,
)
