"""Assertions on runs for your own tests, and what the fixtures of the pytest plugin are made of."""

from sdmetrics.testing.assertions import assert_bias, assert_not_worse
from sdmetrics.testing.run_cache import RunCache

__all__ = ["RunCache", "assert_bias", "assert_not_worse"]
