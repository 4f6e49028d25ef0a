"""Download published weights, once, into torch's cache."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, load_library, one_line, require
from sdmetrics.exporters._weights.holders import held_weights
from sdmetrics.exporters._weights.load_state import build_fitted
from sdmetrics.exporters._weights.transformers_folder import open_repository
from sdmetrics.exporters.architectures.transformers import SOURCES

if TYPE_CHECKING:
    from torch import nn

    from sdmetrics.exporters.architectures.architecture import Architecture
    from sdmetrics.probes.inputs import ModelInput

SECONDS = 15


def open_pretrained(architecture: Architecture) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with its published weights, and return the module and how it is fed.

    Raises
    ------
    InputError
        If it has no published weights, or they cannot be downloaded.

    Examples
    --------
    >>> from sdmetrics.exporters.catalogue import find_architecture
    >>> open_pretrained(find_architecture("fastonly_r50"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: fastonly_r50 has no published weights. Pass your own with --checkpoint FILE, or no \
option for random weights
    """
    if not architecture.weights:
        raise InputError(
            f"{architecture.name} has no published weights. Pass your own with --checkpoint FILE, or no option for "
            "random weights"
        )
    if architecture.name in SOURCES:
        return open_repository(architecture)
    url = _url(architecture.weights)
    return build_fitted(architecture, held_weights(_download(url), url), url)


def _url(weights: str) -> str:
    """Return the address of weights that are specified by their address or by torchvision's name."""
    if "://" in weights:
        return weights
    url: str = load_library("torchvision.models").get_weight(weights).url
    return url


def _download(url: str) -> object:
    """Return the content of the file at an address, from torch's cache if it is already there."""
    hub = require("torch.hub", extra="torch")
    try:
        with _with_time_limit():
            # File names contain the start of the SHA-256, or no hash at all.
            return hub.load_state_dict_from_url(
                url, map_location="cpu", weights_only=True, check_hash=True, progress=sys.stderr.isatty()
            )
    except (OSError, http.client.HTTPException) as error:
        reason = f"cannot be downloaded ({one_line(error)})"
    # A wrong hash, or a truncated file, which stays in the cache.
    except Exception as error:
        reason = f"is not a usable checkpoint ({one_line(error)}). Delete it if it is in {hub.get_dir()}/checkpoints"
    raise InputError(f"{url} {reason}. Download it elsewhere and pass it with --checkpoint FILE")


@contextlib.contextmanager
def _with_time_limit() -> Iterator[None]:
    """While the block runs, let a connection without an answer fail soon, as torch sets no limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
