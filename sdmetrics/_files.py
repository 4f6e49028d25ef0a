"""Writing files so that readers never see a partially written one."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

HEADER = "header"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block ends without an error.

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
    with replacing(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
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


def load_npz(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return header and arrays of a file that `save_npz` wrote; `None` where there is no whole file."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop(HEADER).tobytes())
            return (header, arrays) if isinstance(header, dict) else None
    except Exception:  # whatever is wrong with the file, the remedy is the same
        return None


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
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder}: {error.strerror or error}. Use a folder with write permission"
        ) from None
