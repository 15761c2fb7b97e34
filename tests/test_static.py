import os
import re

import brotli
import pytest

from outagemap import static


@pytest.fixture
def sources(tmp_path, settings):
    """A folder of static files of a test's own, in place of the site's."""
    folder = tmp_path / "sources" / "frontend"
    folder.mkdir(parents=True)
    (folder / "a.js").write_text('import { b } from "./b.js";\n' + "export const a = () => b();\n" * 50)
    (folder / "b.js").write_text("export const b = () => 1;\n" * 50 + "//# sourceMappingURL=b.js.map\n")
    (folder / "b.js.map").write_text('{"version": 3, "sources": []}' * 50)
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path / "sources"]
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "outagemap.static.HashedStaticFiles"}}
    return folder


def test_a_module_imports_its_neighbour_by_the_name_with_the_hash(sources, settings):
    static.collect_if_stale()
    (module,) = settings.STATIC_ROOT.glob("frontend/a.*.js")
    neighbour = re.search(r'from "\./(b\.[0-9a-f]{12}\.js)"', module.read_text())
    assert neighbour is not None
    assert (settings.STATIC_ROOT / "frontend" / neighbour[1]).exists()


def test_files_lie_there_compressed_but_for_source_maps(sources, settings):
    static.collect_if_stale()
    (module,) = settings.STATIC_ROOT.glob("frontend/b.*.js")
    assert brotli.decompress(module.with_name(f"{module.name}.br").read_bytes()) == module.read_bytes()
    assert module.with_name(f"{module.name}.gz").exists()
    assert not list(settings.STATIC_ROOT.glob("frontend/*.map.*[rz]"))


def test_files_are_collected_again_when_their_content_changed_and_only_then(sources):
    assert static.collect_if_stale()
    assert not static.collect_if_stale()
    os.utime(sources / "a.js", (1, 1))
    assert not static.collect_if_stale()
    (sources / "a.js").write_text("export const a = 2;\n")
    assert static.collect_if_stale()


def test_an_interrupted_collection_counts_as_none(sources, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(static, "call_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            static.collect_if_stale()
    assert static.collect_if_stale()


def test_what_did_not_change_is_not_compressed_again(sources, monkeypatch):
    static.collect_if_stale()
    (sources / "a.js").write_text("export const a = 2;\n" * 50)
    compressed: list[bytes] = []
    compress = brotli.compress

    def noting(data: bytes, quality: int) -> bytes:
        compressed.append(data)
        return bytes(compress(data, quality=quality))

    monkeypatch.setattr(brotli, "compress", noting)
    static.collect_if_stale()
    assert compressed == [(sources / "a.js").read_bytes()]
