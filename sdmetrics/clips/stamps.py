"""Content stamps: what identifies the content of files without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

MISSING = "missing"


def content_stamp(files: Iterable[Path]) -> str:
    """Return a text that changes with the name, size or time of modification (in nanoseconds) of any of the files.

    A file that was rewritten has another stamp, even where its size is the same.

    Examples
    --------
    >>> content_stamp([Path("gone.mp4")])
    'gone.mp4 missing'
    """
    stamps = [f"{file.name} {_state(file)}" for file in files]
    if len(stamps) == 1:
        return stamps[0]
    return (
        f"{len(stamps)} files, {hashlib.sha256(chr(10).join(stamps).encode('utf-8', 'backslashreplace')).hexdigest()}"
    )


def _state(file: Path) -> str:
    """Return the size and time of modification of a file."""
    try:
        status = file.stat()
    except OSError:
        return MISSING
    return f"{status.st_size} bytes, modified at {status.st_mtime_ns} ns"
