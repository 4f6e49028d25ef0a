"""The renderer of the charts, and what it needs."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from sdmetrics._files import replacing
from sdmetrics.errors import InputError, MissingExtra, require

RESERVED = 128 * 2**30
"""Bytes of address space that are certainly enough. The JavaScript engine reserves more than 64 GiB when it starts,
uses hardly any, and ends the process where it may not."""


def chart_renderer() -> ModuleType:
    """Return `vl_convert`.

    Raises
    ------
    MissingExtra
        If it is not installed, or this process has a limit of address space that it would not survive.
    """
    renderer = require("vl_convert", extra="report")
    limit = _address_space()
    if limit is not None and limit < RESERVED:
        raise MissingExtra(
            f"charts cannot be drawn within {limit / 2**30:.0f} GiB of address space, the limit of this process: their "
            "renderer reserves more (and uses little). Raise the limit, e.g. with ulimit -v unlimited, and run "
            "sdmetrics report RUN"
        )
    return renderer


def vega_scripts() -> str:
    """Return Vega's JavaScript, with which a page draws its charts.

    The renderer takes seconds to bundle it. It is kept where Python keeps what it compiled, if it keeps anything.
    """
    renderer = chart_renderer()
    kept = Path(cache_from_source(__file__)).with_name(f"vega-{renderer.__version__}.js")
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_bytes().decode()
    scripts: str = renderer.javascript_bundle()
    if not sys.dont_write_bytecode:
        with suppress(InputError), replacing(kept) as path:
            path.write_bytes(scripts.encode())
    return scripts


def _address_space() -> int | None:
    """Return the limit of this process in bytes; None where there is none."""
    try:
        import resource
    except ImportError:  # an operating system without such limits
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit
