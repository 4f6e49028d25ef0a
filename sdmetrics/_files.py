"""Writing files so that readers never see a partially written one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED

import numpy as np
from numpy.typing import NDArray

from sdmetrics._temporary import temporary_beside
from sdmetrics._text import printable
from sdmetrics.errors import InputError

HEADER = "header"

NPZ_LIMIT = 2**30
"""Bytes. A shard has 80 per unit, so this is far above any model."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block ends without an error.

    The content is on the disk before it has its name, so that a power loss leaves the old file or the new one.

    Raises
    ------
    InputError
        If the file cannot be written, e.g. because the disk is full; the old file is kept.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['a.txt']
    """
    check_is_file(path)
    try:
        writable_folder(path.parent)
        with temporary_beside(path) as temporary:
            yield temporary
            _on_disk(temporary)
            temporary.replace(path)
            folder_on_disk(path.parent)
    except OSError as error:
        raise InputError(
            f"cannot write {printable(path)}: {error.strerror or error}. Make room or correct the permissions, or "
            "write elsewhere; what was finished before is kept"
        ) from error


def check_is_file(path: Path) -> None:
    """Check early that a file can have this path.

    Raises
    ------
    InputError
        If there is a folder.
    """
    if path.is_dir():
        raise InputError(f"{printable(path)} is a folder, and a file is to be written there; add the file's name")


def write_json(path: str | Path, document: Mapping[str, Any], indent: int | None = 1) -> Path:
    r"""Write a document without NaN to a JSON file and return its path.

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
    try:
        content = text.encode()
    except UnicodeEncodeError:  # the name of a file that is not UTF-8 cannot be written as it is
        content = json.dumps(document, indent=indent, allow_nan=False).encode()
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content + b"\n")
    return Path(path)


def save_npz(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and a JSON header to one `.npz` file, so that readers see the whole file or none.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_npz(Path(folder) / "a.npz", {"used": 3}, {"x": np.arange(2)})
    ...     header, arrays = load_npz(Path(folder) / "a.npz")
    >>> header, arrays["x"].tolist()
    ({'used': 3}, [0, 1])
    """
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{HEADER: text, **arrays})  # type: ignore[arg-type]


def load_header(path: Path) -> dict[str, Any] | None:
    """Return the header of a file that `save_npz` wrote, without its arrays; `None` where there is no whole file."""
    stored = _read(path, [HEADER])
    return None if stored is None else stored[0]


def load_npz(path: Path, names: Sequence[str] | None = None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return header and arrays, all or those of these names, of a file that `save_npz` wrote.

    `None` where there is no whole file.
    """
    return _read(path, None if names is None else [HEADER, *names])


def writable_folder(folder: Path) -> Path:
    """Create `folder` if it is missing and check that a file can be written there.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (FileExistsError, NotADirectoryError):
        raise InputError(
            f"cannot write to the folder {printable(folder)}: it is a file, or lies in one. Use another folder"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {printable(folder)}: {error.strerror or error}. Use a folder with write "
            "permission and room"
        ) from None


def folder_on_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path, names: Sequence[str] | None = None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return header and arrays, all or those of these names; `None` where there is no whole file."""
    try:
        if not path.is_file() or (size := path.stat().st_size) > NPZ_LIMIT:
            return None
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            members = file.zip.infolist()
            # `save_npz` compresses nothing, so no member can be larger than the file.
            if any(m.compress_type != ZIP_STORED for m in members) or sum(m.file_size for m in members) > size:
                return None
            arrays = {name: file[name] for name in names or file.files}
            header = json.loads(arrays.pop(HEADER).tobytes())
            return (header, arrays) if isinstance(header, dict) else None
    except Exception:  # whatever is wrong with the file, the remedy is the same
        return None


def _on_disk(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
