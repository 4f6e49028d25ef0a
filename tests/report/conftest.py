"""Chromium, for the tests of pages."""

from tests.helpers.chromium import browser  # noqa: F401
