"""Static files under names that carry a hash of their content, compressed once; and whether they are still fresh."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, cast

import brotli
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage

_FINGERPRINT = "collected-from"

Key = tuple[str, bytes]


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # comes without types
    """Hashed names, also inside `import` statements: a module must not load a stale neighbour from the cache."""

    support_js_module_import_aggregation = True
    # What the last collection compressed, by kind and content: a change of one file must not cost compressing all.
    compressed_before: ClassVar[Mapping[Key, bytes]] = {}

    def create_compressor(self, **options: Any) -> Compressor:
        """A compressor that does nothing twice."""
        return _ThriftyCompressor(self.compressed_before, **options)


class _ThriftyCompressor(Compressor):  # type: ignore[misc]
    """Spends its time where visitors feel it.

    Each content is compressed once, though it lies there under its plain and under its hashed name; our own files, the
    boundaries above all, as tightly as can be, the admin's and the API page's at a twentieth of the cost; and source
    maps not at all. A third of the time of doing all.
    """

    def __init__(self, before: Mapping[Key, bytes], **options: Any) -> None:
        super().__init__(**options | {"extensions": (*self.SKIP_COMPRESS_EXTENSIONS, "map")})
        self._before = before
        self._done: dict[Key, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._ours = str(Path(settings.STATIC_ROOT) / "frontend")
        # Files are compressed in threads.
        self._of_thread = threading.local()

    def compress(self, path: str | os.PathLike[str]) -> list[str]:
        self._of_thread.quality = 11 if os.fspath(path).startswith(self._ours) else 5
        return cast(list[str], super().compress(path))

    def compress_brotli(self, data: bytes) -> bytes:
        return self._once("br", data, lambda data: brotli.compress(data, quality=self._of_thread.quality))

    def compress_gzip(self, data: bytes) -> bytes:
        return self._once("gz", data, super().compress_gzip)

    def _once(self, kind: str, data: bytes, compress: Callable[[bytes], bytes]) -> bytes:
        key = kind, hashlib.sha256(data).digest()
        with self._lock:
            first = key not in self._done
            result = self._done.setdefault(key, Future())
        if first:
            try:
                result.set_result(self._before.get(key) or compress(data))
            except Exception as error:
                result.set_exception(error)
        return result.result()


def collect_if_stale() -> bool:
    """Collects the static files when a source changed since the last time; whether it did."""
    mark = Path(settings.STATIC_ROOT) / _FINGERPRINT
    fingerprint = _fingerprint()
    if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
        return False
    HashedStaticFiles.compressed_before = _compressed(Path(settings.STATIC_ROOT))
    try:
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    finally:
        HashedStaticFiles.compressed_before = {}
    # Last, so that an interrupted collection counts as none.
    mark.write_text(fingerprint, encoding="ascii")
    return True


def _compressed(folder: Path) -> dict[Key, bytes]:
    found: dict[Key, bytes] = {}
    for kind in ("br", "gz"):
        for path in folder.rglob(f"*.{kind}"):
            plain = path.with_suffix("")
            if plain.exists():
                found[kind, hashlib.sha256(plain.read_bytes()).digest()] = path.read_bytes()
    return found


def _fingerprint() -> str:
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for name, path in sorted(_sources()):
        # The content, not the time: copying into an image or unpacking a release changes times at will.
        digest.update(f"{name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[tuple[str, Path]]:
    for finder in finders.get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            yield name, Path(storage.path(name))
