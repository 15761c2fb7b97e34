"""Static files under names that carry a hash of their content, compressed once; and whether they are still fresh."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage

_FINGERPRINT = "collected-from"


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # comes without types
    """Hashed names, also inside `import` statements: a module must not load a stale neighbour from the cache."""

    support_js_module_import_aggregation = True

    def create_compressor(self, **options: Any) -> Compressor:
        """A compressor that does nothing twice."""
        return _ThriftyCompressor(**options)


class _ThriftyCompressor(Compressor):  # type: ignore[misc]
    """Compresses each content once, though it lies there under its plain and under its hashed name; and no source maps,
    which only a developer's tools ask for. A third of the time of doing all."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"extensions": (*self.SKIP_COMPRESS_EXTENSIONS, "map")})
        self._done: dict[tuple[str, bytes], bytes] = {}

    def compress_brotli(self, data: bytes) -> bytes:
        return self._once("br", data, super().compress_brotli)

    def compress_gzip(self, data: bytes) -> bytes:
        return self._once("gz", data, super().compress_gzip)

    def _once(self, kind: str, data: bytes, compress: Any) -> bytes:
        key = kind, hashlib.sha256(data).digest()
        if key not in self._done:
            self._done[key] = compress(data)
        return self._done[key]


def collect_if_stale() -> bool:
    """Collects the static files when a source changed since the last time; whether it did."""
    mark = Path(settings.STATIC_ROOT) / _FINGERPRINT
    fingerprint = _fingerprint()
    if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    # Last, so that an interrupted collection counts as none.
    mark.write_text(fingerprint, encoding="ascii")
    return True


def _fingerprint() -> str:
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for name, path in sorted(_sources()):
        found = path.stat()
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[tuple[str, Path]]:
    for finder in finders.get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            yield name, Path(storage.path(name))
