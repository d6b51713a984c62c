"""An empty database for the migration tests."""

from tests.local.postgres.conftest import postgres

__all__ = ["postgres"]
