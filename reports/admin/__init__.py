"""The desk: where incidents are judged and the catalogue is kept. Imported by ``outagemap.urls``."""

# Registers users and groups: the admin's autodiscovery, which would, cannot run here (see settings.INSTALLED_APPS).
import django.contrib.auth.admin  # noqa: F401
from django.contrib import admin

from reports.admin import audience, catalogue, incidents, intake, what_if  # noqa: F401

admin.site.site_header = "Outagemap desk"
admin.site.site_title = "Outagemap desk"
admin.site.index_title = "What can be done here"
