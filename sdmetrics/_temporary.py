"""Temporary files beside their targets, locked while their writer lives, so that those of killed writers are known."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # an operating system without these locks; nothing is removed there
    fcntl = None

PATTERN = re.compile(r"\.(?P<stem>.+)-[0-9a-f]{8}(?P<suffix>\.[^.]*)?")


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield a new, empty file beside `path`, and remove it afterwards if it is still there.

    What killed writers of the same target left is removed first.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with temporary_beside(Path(folder) / "a.txt") as temporary:
    ...         print(bool(PATTERN.fullmatch(temporary.name)), temporary.suffix)
    ...     print(temporary.exists())
    True .txt
    False
    """
    for left in _left_in(path.parent).pop(path.name, ()):
        _remove_if_abandoned(left)
    temporary, lock = _created(path)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in a folder whose writers were killed; those of living writers stay.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, ".results-1f2e3d4c.json").touch()
    ...     remove_leftovers(Path(folder))
    ...     list(Path(folder).iterdir())
    []
    """
    for left in _listed(folder):
        _remove_if_abandoned(left)


@functools.lru_cache(maxsize=64)
def _left_in(folder: Path) -> dict[str, list[Path]]:
    """Return the temporary files that were there when this process first wrote to a folder, by target."""
    by_target: dict[str, list[Path]] = {}
    for path in _listed(folder):
        by_target.setdefault(_target(path.name), []).append(path)
    return by_target


def _listed(folder: Path) -> list[Path]:
    """Return the files of a folder that are named as temporary files are."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if _target(entry.name)]
    return []


def _target(name: str) -> str:
    """Return the name of the file that a temporary file was to become; empty for other files."""
    match = PATTERN.fullmatch(name)
    return f"{match['stem']}{match['suffix'] or ''}" if match else ""


def _created(path: Path) -> tuple[Path, int | None]:
    """Create a temporary file; return it with the descriptor that holds its lock, if there are locks."""
    while True:
        temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if fcntl is None:
            os.close(descriptor)  # such a system does not rename a file that is open
            return temporary, None
        # A process that cleans up may have found the file before it was locked.
        if _lock(descriptor) is not False and temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file unless its writer lives, or the file system cannot tell."""
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(path.lstat().st_mode):
            return
        descriptor = os.open(path, os.O_RDWR)
        try:
            if _lock(descriptor):
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file; `False` where another process holds it, `None` where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
