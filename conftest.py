"""The package is imported before its modules are collected for their examples: each of them would exist twice."""

import sdmetrics  # noqa: F401

pytest_plugins = ["pytester"]
