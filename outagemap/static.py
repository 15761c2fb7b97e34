"""Static files under names that carry a hash of their content, compressed once."""

from __future__ import annotations

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Hashed names, also inside `import` statements: a module must not load a stale neighbour from the cache."""

    support_js_module_import_aggregation = True
