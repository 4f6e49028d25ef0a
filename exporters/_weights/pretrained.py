"""Published weights, downloaded once into torch's cache."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, load_library, one_line, require
from sdmetrics.exporters._weights.checkpoints import find_weights
from sdmetrics.exporters._weights.load_state import build_fitted
from sdmetrics.exporters._weights.transformers_folder import open_repository
from sdmetrics.exporters.architectures.transformers import SOURCES

if TYPE_CHECKING:
    from torch import nn

    from sdmetrics.exporters.architectures.architecture import Architecture
    from sdmetrics.probes.inputs import ModelInput

SECONDS = 15


def open_pretrained(architecture: Architecture) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with its published weights; return the module and how it is fed.

    Raises
    ------
    InputError
        If it has none, or if they cannot be downloaded.

    Examples
    --------
    >>> from sdmetrics.exporters.catalogue import find_architecture
    >>> open_pretrained(find_architecture("fastonly_r50"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: fastonly_r50 has no published weights. Give your own: --checkpoint FILE; or neither, \
for random weights
    """
    if not architecture.weights:
        raise InputError(
            f"{architecture.name} has no published weights. Give your own: --checkpoint FILE; or neither, for random "
            "weights"
        )
    if architecture.name in SOURCES:
        return open_repository(architecture)
    url = _url(architecture.weights)
    return build_fitted(architecture, find_weights(_download(url), url), url), architecture.inputs


def _url(weights: str) -> str:
    """Return the address of weights that are given by address or by torchvision's name."""
    if "://" in weights:
        return weights
    url: str = load_library("torchvision.models").get_weight(weights).url
    return url


def _download(url: str) -> object:
    """Return what the file at an address holds, from torch's cache where it is there already."""
    hub = require("torch.hub", extra="torch")
    try:
        with _impatient():
            # The owners write the start of a file's SHA-256 into its name, or give none.
            return hub.load_state_dict_from_url(
                url, map_location="cpu", weights_only=True, check_hash=True, progress=sys.stderr.isatty()
            )
    except (OSError, http.client.HTTPException) as error:
        reason = f"cannot be downloaded ({one_line(error)})"
    # A wrong hash, or a file that is cut short and stays in the cache.
    except Exception as error:
        reason = f"gave no usable checkpoint ({one_line(error)}). Delete it if it is in {hub.get_dir()}/checkpoints"
    raise InputError(f"{url} {reason}. Download it elsewhere and give it with --checkpoint FILE")


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Let a connection that says nothing fail soon; torch asks without a limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
