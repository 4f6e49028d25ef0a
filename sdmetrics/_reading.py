"""Reading files that other people made: only whole, ordinary files, and never more than a limit."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.errors import InputError

GONE = (FileNotFoundError, NotADirectoryError)


class UnreadableError(InputError):
    """A file cannot be read at the moment, as a disk or permissions do not let it; its content may be sound."""


TEXT_LIMIT = 512 * 2**20
"""Bytes. Far above the largest list in use (Kinetics' and ImageNet VID's annotations: tens of megabytes)."""


def regular_file(path: str | Path) -> Path:
    """Return the path of an ordinary file; opening a FIFO, a socket or a device could wait or read for ever.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder or a special file.

    Examples
    --------
    >>> regular_file("/dev/null")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: /dev/null is a device, not a file, and was not opened. Use an ordinary file
    """
    found = Path(path)
    try:
        mode = found.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise unreadable(found, error) from None
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{printable(found)} is {_kind(mode)}, not a file, and was not opened. Use an ordinary file"
        ) from None
    return found


def read_bytes(path: str | Path, limit: int = TEXT_LIMIT) -> bytes:
    """Return a file's content.

    Raises
    ------
    InputError
        If the file is not an ordinary one or is larger than `limit` bytes.
    UnreadableError
        If it cannot be read at the moment.
    """
    found = regular_file(path)
    size = found.stat().st_size
    if size > limit:
        raise InputError(f"{printable(found)} has {size:,} bytes; at most {limit:,} are read. Check what it is")
    try:
        return found.read_bytes()
    except OSError as error:
        raise unreadable(found, error) from None


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """Return the error for a file that the system does not let read.

    Examples
    --------
    >>> raise unreadable(Path("a.mp4"), PermissionError(13, "Permission denied"))
    Traceback (most recent call last):
    sdmetrics._reading.UnreadableError: a.mp4 cannot be read: Permission denied. Check the path and its permissions
    """
    is_here = isinstance(error, OSError) and not isinstance(error, GONE)
    reason = getattr(error, "strerror", None) or error
    advice = "Check the path and its permissions" if is_here else "Check the path"
    return (UnreadableError if is_here else InputError)(f"{printable(path)} cannot be read: {reason}. {advice}")


def read_text(path: str | Path, limit: int = TEXT_LIMIT) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raises
    ------
    InputError
        As for `read_bytes`, and if the bytes are not UTF-8.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{printable(path)} is not UTF-8 text (byte {error.start}). Save it as UTF-8, or check what it is"
        ) from None


def read_json(path: str | Path, limit: int = TEXT_LIMIT, pairs_hook: Callable[..., object] | None = None) -> object:
    """Return the document of a JSON file; `pairs_hook` takes the items of each object instead of `dict`.

    Raises
    ------
    InputError
        As for `read_text`, and if the text is not JSON, nests too deeply or holds an integer of too many digits.
    """
    return parsed_json(read_text(path, limit), path, pairs_hook)


def parsed_json(text: str, path: str | Path, pairs_hook: Callable[..., object] | None = None) -> object:
    """Return the document in the text of a JSON file, as `read_json` does; `path` names it for errors."""
    try:
        return json.loads(text, object_pairs_hook=pairs_hook)
    except RecursionError:
        raise InputError(f"{printable(path)} nests too deeply to be read. Check what it is") from None
    except ValueError as error:
        raise InputError(f"{printable(path)} is not JSON: {printable(error)}. Fix it, or check what it is") from None


def _kind(mode: int) -> str:
    """Name what a path is that is no file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
