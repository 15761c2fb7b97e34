"""The small world of the API's tests, for what else programs read."""

from tests.api.conftest import uncollected, world

__all__ = ["uncollected", "world"]
