"""The version of this package, and those of other packages."""

from functools import cache
from importlib import metadata

__version__ = "0.1.0"


@cache
def installed_version(distribution: str) -> str | None:
    """Return the installed version of a distribution, or `None`."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
