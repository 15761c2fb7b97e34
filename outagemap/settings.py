"""Settings: one file, everything that differs between deployments comes from the environment, read strictly."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from outagemap import embedded, environment

BASE_DIR = Path(__file__).resolve().parent.parent

# --- What a deployment sets -------------------------------------------------------------------------------------------

DEBUG = environment.flag("DEBUG", default=False)
DATA_DIR = Path(environment.text("DATA_DIR", str(BASE_DIR / "var"))).expanduser().absolute()
HOST = environment.text("HOST", "127.0.0.1")
PORT = environment.number("PORT", default=8000, low=1, high=65535)
WEB_WORKERS = environment.number("WEB_WORKERS", default=1, low=1, high=64)
SECRET_KEY = environment.secret("SECRET_KEY", DATA_DIR / "secret-key")
# The machine's own names are always answered: health checks come that way.
ALLOWED_HOSTS = [*environment.hosts("ALLOWED_HOSTS"), "localhost", "127.0.0.1", "[::1]"]
# What the site is called in ids that must stay the same whatever name it is asked by.
SITE_NAME = next((name.lstrip(".") for name in ALLOWED_HOSTS if name != "*"), "localhost")
TRUSTED_PROXIES = environment.networks("TRUSTED_PROXIES")
# Who may read /metrics; by default this machine only.
METRICS_NETWORKS = environment.networks("METRICS_NETWORKS") or tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
HTTPS = environment.flag("HTTPS", default=False)
ADMIN_USER = environment.text("ADMIN_USER")
ADMIN_PASSWORD = environment.text("ADMIN_PASSWORD")
ADMIN_IDLE = timedelta(minutes=environment.number("ADMIN_IDLE_MINUTES", default=30, low=5, high=720))
REQUIRE_TWO_FACTOR = environment.flag("REQUIRE_TWO_FACTOR", default=False)
# How much work readers of the API may cause in a minute: answers that had to be made, what is kept is not counted. Of
# one address, and of one key; 0 for no limit.
API_READS_PER_MINUTE = environment.number("API_READS_PER_MINUTE", default=600, low=0, high=1_000_000)
API_KEY_READS_PER_MINUTE = environment.number("API_KEY_READS_PER_MINUTE", default=6000, low=0, high=1_000_000)
RETENTION_DAYS = environment.number("RETENTION_DAYS", default=30, low=2, high=3650)
# Whether reports wait in the broker while the database is away, what proof of durability that takes, and how much.
STANDBY = environment.text("STANDBY", "fsync")
STANDBY_MB = environment.number("STANDBY_MB", default=128, low=1, high=65536)
# Lists of the operator's own, by which networks are judged (reports/intake/origin.py): read when the web server starts.
HOSTING_NETWORKS = environment.file("HOSTING_NETWORKS")
NETWORK_COUNTRIES = environment.file("NETWORK_COUNTRIES")
# The key that web push messages are signed with (empty: made of SECRET_KEY), and whom a push service may write to.
VAPID_PRIVATE_KEY = environment.text("VAPID_PRIVATE_KEY")
if VAPID_PRIVATE_KEY and not re.fullmatch(r"[A-Za-z0-9_-]{43}", VAPID_PRIVATE_KEY):
    raise environment.refuse("VAPID_PRIVATE_KEY", "(hidden)", "32 bytes in base64url, 43 characters")
PUSH_CONTACT = environment.text("PUSH_CONTACT") or f"https://{next(iter(ALLOWED_HOSTS)).lstrip('.*') or 'localhost'}"
if not PUSH_CONTACT.startswith(("mailto:", "https://")):
    raise environment.refuse("PUSH_CONTACT", PUSH_CONTACT, "mailto: and an address, or an https:// URL")
# Whether messages may go to machines in a private network: for push services and receivers of one's own.
ALLOW_PRIVATE_TARGETS = environment.flag("ALLOW_PRIVATE_TARGETS", default=False)
# The address of the site in messages that it sends: no request says there by what name it is asked.
SITE_URL = environment.url("SITE_URL", ("https", "http")).rstrip("/")
if SITE_URL and not re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+", SITE_URL):
    raise environment.refuse("SITE_URL", "(hidden)", "https://, a name, perhaps a port, and nothing else")
if not SITE_URL:
    SITE_URL = f"https://{SITE_NAME}" if HTTPS or SITE_NAME != "localhost" else f"http://localhost:{PORT}"
# The server that e-mail goes through, and whom it is from; unset: none is sent.
_MAIL = environment.mail_server("EMAIL_URL")
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, _MAIL_SECURITY = _MAIL
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL_SECURITY == "starttls", _MAIL_SECURITY == "tls"
EMAIL_FROM = environment.text("EMAIL_FROM")
if bool(EMAIL_HOST) != bool(EMAIL_FROM):
    raise ImproperlyConfigured("EMAIL_URL and EMAIL_FROM: expected both or neither")
if EMAIL_FROM and not re.fullmatch(r"[^<>@\s]+@[^<>@\s]+|[^<>@\r\n]+ <[^<>@\s]+@[^<>@\s]+>", EMAIL_FROM):
    raise environment.refuse("EMAIL_FROM", EMAIL_FROM, "an address, or a name and <an address>")
# Where a copy of the site is kept for the hour in which the site cannot answer; "off": nowhere.
_SNAPSHOT = environment.text("SNAPSHOT_DIR", str(DATA_DIR / "snapshot"))
SNAPSHOT_DIR = None if _SNAPSHOT == "off" else Path(_SNAPSHOT).expanduser().absolute()
LOG_LEVEL = environment.text("LOG_LEVEL", "INFO").upper()
# The scenario whose clock the whole site follows; empty: the real clock.
REPLAY = environment.text("REPLAY")
_SCENARIOS = {path.stem for path in (BASE_DIR / "reports" / "data" / "scenarios").glob("*.json")}
if REPLAY and REPLAY not in _SCENARIOS:
    raise environment.refuse("REPLAY", REPLAY, f"nothing, or one of: {', '.join(sorted(_SCENARIOS))}")

DATABASE_URL = environment.url("DATABASE_URL", ("postgresql", "postgres")) or embedded.database_url(DATA_DIR)
REDIS_URL = environment.url("REDIS_URL", ("redis", "rediss", "unix")) or embedded.broker_url(DATA_DIR)
DATABASE_IS_EMBEDDED = not environment.text("DATABASE_URL")
BROKER_IS_EMBEDDED = not environment.text("REDIS_URL")

if bool(ADMIN_USER) != bool(ADMIN_PASSWORD):
    raise ImproperlyConfigured("ADMIN_USER and ADMIN_PASSWORD: expected both or neither")
if HTTPS and not TRUSTED_PROXIES:
    # Nothing here speaks TLS itself, so every visitor would be redirected for ever.
    raise environment.refuse("TRUSTED_PROXIES", "", "the address of the proxy that ends TLS, since HTTPS is on")
if STANDBY not in {"fsync", "trust", "off"}:
    raise environment.refuse("STANDBY", STANDBY, "fsync, trust or off")
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise environment.refuse("LOG_LEVEL", LOG_LEVEL, "DEBUG, INFO, WARNING or ERROR")

# --- The application --------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    # Not "django.contrib.admin", whose autodiscovery cannot run here.
    "outagemap.apps.DeskConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "leaflet",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "reports",
    "frontend",
]
MIDDLEWARE = [
    # All of these run in the event loop; a plain synchronous middleware would cost every request a thread hop.
    "outagemap.middleware.SecurityHeaders",
    "outagemap.middleware.Compression",
    # Above everything that may answer with a page of its own, so that "not found" is said in the reader's language too.
    "frontend.languages.Languages",
    "outagemap.middleware.Common",
    "outagemap.middleware.ReadyPages",
    "outagemap.middleware.DatabaseAway",
    # Sessions, sign-in and CSRF cookies exist for the admin only: visitors get no cookie at all.
    "outagemap.middleware.AdminSessions",
    "outagemap.middleware.AdminCsrf",
    "outagemap.middleware.AdminAuthentication",
    "outagemap.middleware.AdminIdle",
    "outagemap.middleware.AdminSecondFactor",
    "outagemap.middleware.AdminLockout",
    "outagemap.middleware.AdminMessages",
]
ROOT_URLCONF = "outagemap.urls"
ASGI_APPLICATION = "outagemap.asgi.application"
ADMIN_PREFIX = "/admin/"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # Links to what has no language keep none, whoever writes them.
            "builtins": ["frontend.templatetags.links"],
        },
    },
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
# Under their own names, as they are offered on every page; `frontend.languages` says which one speaks.
LANGUAGES = [
    ("en", "English"),
    ("es", "Español"),
    ("pt", "Português"),
    ("hi", "हिन्दी"),
    ("de", "Deutsch"),
    ("ar", "العربية"),
]
# Named here as well, so that these words come before those of the admin where both translate the same.
LOCALE_PATHS = [BASE_DIR / "frontend" / "locale"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Database, cache --------------------------------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        reason = " ".join(str(error).split())
        raise environment.refuse(
            "DATABASE_URL", "(hidden)", f"postgresql://user:password@host/name ({reason})"
        ) from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "outagemap"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        # A pool, because a new connection costs PostgreSQL 5.7 ms; the checks, because the database may have been
        # restarted while a connection lay in the pool. A request outlives a restart of the database (some seconds) and
        # is then told to come again. The pool tries no longer than that either: its pauses double, up to minutes, in
        # which it would refuse requests although the database is back.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**parts, "pool": {"min_size": 1, "max_size": 12, "timeout": 5, "reconnect_timeout": 5}},
    }


DATABASES = {"default": _database(DATABASE_URL)}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "outagemap",
    }
}

# --- Background work --------------------------------------------------------------------------------------------------

# kombu knows Unix sockets under a scheme of its own.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
# One queue for each rhythm, so that a long refit delays no watch cycle and a long drain no decision.
CELERY_TASK_DEFAULT_QUEUE = "slow"
CELERY_TASK_ROUTES = {
    "reports.tasks.drain": {"queue": "drain"},
    "reports.tasks.watch": {"queue": "watch"},
    # Waits for other people's machines: nothing of ours may wait for it, and no what-if hold up good news.
    "reports.tasks.tell": {"queue": "tell"},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
DRAIN_EVERY = timedelta(seconds=1)
WATCH_EVERY = timedelta(seconds=2 if REPLAY else 10)
TELL_EVERY = timedelta(seconds=10)
COPY_EVERY = timedelta(minutes=1)
# How often somebody looks whose time has come; each status page has a rhythm of its own.
HEAR_EVERY = timedelta(minutes=1)
# Acknowledged early: a lost run costs nothing, since the next takes up where the last stopped. What is still queued
# when the next one is due expires, so that a pause of the worker leaves no pile behind.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "drain": {
        "task": "reports.tasks.drain",
        "schedule": DRAIN_EVERY,
        "options": {"expires": DRAIN_EVERY.total_seconds()},
    },
    "watch": {
        "task": "reports.tasks.watch",
        "schedule": WATCH_EVERY,
        "options": {"expires": WATCH_EVERY.total_seconds()},
    },
    "tell": {
        "task": "reports.tasks.tell",
        "schedule": TELL_EVERY,
        "options": {"expires": TELL_EVERY.total_seconds()},
    },
    "fetch-statements": {
        "task": "reports.tasks.fetch_statements",
        "schedule": HEAR_EVERY,
        "options": {"expires": HEAR_EVERY.total_seconds()},
    },
    "copy-site": {
        "task": "frontend.tasks.copy_site",
        "schedule": COPY_EVERY,
        "options": {"expires": COPY_EVERY.total_seconds()},
    },
    "keep-partitions": {
        "task": "reports.tasks.keep_partitions",
        "schedule": crontab(hour="0,6,12,18", minute="7"),
        "options": {"expires": 3600},
    },
    "refit-baseline": {
        "task": "reports.tasks.refit_baseline",
        "schedule": crontab(hour="3", minute="30"),
        "options": {"expires": 3600},
    },
}

# --- Static files and the map -----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = Path(environment.text("STATIC_ROOT", str(DATA_DIR / "static"))).expanduser().absolute()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "outagemap.static.HashedStaticFiles"
    },
}
SERVESTATIC_USE_ZSTD = False
LEAFLET_CONFIG: dict[str, Any] = {
    # The default is a public tile server, which would learn the address of every visitor.
    "TILES": [],
    "SPATIAL_EXTENT": (-180, -60, 180, 84),
    "MIN_ZOOM": 1,
    "MAX_ZOOM": 8,
    "SCALE": None,
    "ATTRIBUTION_PREFIX": False,
    "RESET_VIEW": False,
}

# --- API --------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Outagemap",
    "DESCRIPTION": "Crowd-sourced outage reports, exact by region. Keyless; times are ISO 8601, UTC.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    # They would repeat each value beside itself.
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "ApiKey": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Api-Key` and the key, with a space between. The operator gives keys to partners.",
            }
        }
    },
    # Or two lists of the same field name get names made of numbers.
    "ENUM_NAME_OVERRIDES": {
        "RegionStateEnum": "reports.api.serializers.STATES",
        "ServiceStateEnum": "reports.api.serializers.SERVICE_STATES",
        "IncidentStateEnum": "reports.api.serializers.INCIDENT_STATES",
        "OutageStateEnum": "reports.api.serializers.OUTAGE_STATES",
        "RegionKindEnum": "reports.api.serializers.REGION_KINDS",
        "ReportKindEnum": "reports.api.serializers.REPORT_KINDS",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- Security ---------------------------------------------------------------------------------------------------------

# Sent with every page, the admin included. No inline script or style anywhere: data reaches modules through attributes.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
PERMISSIONS_POLICY = "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = ADMIN_PREFIX
# No script of the desk reads either. A link from elsewhere may lead to a page of the desk, and no more than that.
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# A duty, and not a fortnight; closing the browser ends it sooner, and so does ADMIN_IDLE without an act.
SESSION_COOKIE_AGE = 12 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# A network that fails so often is turned away for a while, whatever names it tries. Not the name: who knows an
# administrator's name could else lock them out.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["ip_address"]
AXES_RESET_ON_SUCCESS = True
# What is stored of a failed attempt: the name that was tried, the browser, and the network under a keyed name.
AXES_CLIENT_IP_CALLABLE = "reports.admin.site.keyed_address"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
# Its middleware is ours, `AdminLockout`, which leaves the public pages alone.
SILENCED_SYSTEM_CHECKS = ["axes.W002"]
OTP_TOTP_ISSUER = "Outagemap"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
# Only a proxy can say that the visitor came by HTTPS, and only one that overwrites the header may be believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None

# --- Logs: to standard error, never an address of a visitor -----------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # These two speak at every beat: once a second and more.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
