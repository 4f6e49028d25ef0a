"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdmetrics.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; rename it to `path` if the block ends without an error.

    Raises
    ------
    InputError
        If the folder cannot be written to.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['a.txt']
    """
    folder = writable_folder(path.parent)
    temporary = folder / f".{path.stem}-{secrets.token_hex(4)}{path.suffix}"
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, document: Mapping[str, Any], indent: int | None = 1) -> Path:
    r"""Write a document that holds no NaN to a JSON file; return its path.

    Raises
    ------
    InputError
        If the folder cannot be written to.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder) / "a.json", {"é": None}, indent=None).read_text(encoding="utf-8")
    '{"é": null}\n'
    """
    text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
    with replacing(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def writable_folder(folder: Path) -> Path:
    """Make `folder` where it is missing and prove that a file can be written there.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder}: {error.strerror or error}. Give a folder you may write to"
        ) from None
