"""Fixtures of the tests of data."""

from tests.unit.tables import door

__all__ = ["door"]
