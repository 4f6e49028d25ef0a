"""Documents that carry a digest of themselves, so that a damaged file is never taken for a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdmetrics._files import write_json
from sdmetrics._reading import UnreadableError, read_json
from sdmetrics._text import printable
from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.shape import Shape, ShapeError, check_shape
from sdmetrics.errors import InputError


class DamagedError(InputError):
    """A file of a run is not as it was written."""


def save_document(path: Path, schema: int, document: Mapping[str, Any]) -> None:
    """Write a document with its schema and the digest of both."""
    whole = {"schema": schema, **document}
    write_json(path, {**whole, "sha256": sha256_of(json.loads(json.dumps(whole)))})


def load_document(path: Path, schema: int, shape: Shape, again: str) -> dict[str, Any]:
    """Return a document that `save_document` wrote, without schema and digest.

    Parameters
    ----------
    path
        The file.
    schema
        The only schema that is read.
    shape
        The shape of the document, see `check_shape`.
    again
        How to write the file again.

    Raises
    ------
    DamagedError
        If the file is not as it was written.
    InputError
        If it cannot be read at the moment, or has another schema.

    Examples
    --------
    >>> import tempfile
    >>> from sdmetrics.analysis.shape import COUNT
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, shape = Path(folder, "a.json"), {"used": COUNT}
    ...     save_document(path, 1, {"used": 3})
    ...     print(load_document(path, 1, shape, "write it again"))
    ...     _ = path.write_text(path.read_text().replace("3", "4"))
    ...     load_document(path, 1, shape, "write it again")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sdmetrics.analysis.stored.DamagedError: ...a.json is damaged: its digest does not fit its content; write it again
    """
    try:
        document = read_json(path)
    except UnreadableError:
        raise
    except InputError as error:
        why = str(error).removeprefix(printable(path)).partition(". ")[0]
        raise DamagedError(f"{printable(path)} is damaged: it{why}; {again}") from None
    if not isinstance(document, dict) or "schema" not in document:
        raise DamagedError(f"{printable(path)} is damaged: it is not a JSON object with a schema; {again}")
    found = document.pop("schema")
    if found != schema or isinstance(found, bool):
        shown = printable(repr(found)) if isinstance(found, int | str | None) else "that is no number"
        raise InputError(
            f"{printable(path)} has schema {shown:.40}; this version reads schema {schema}. Install the version that "
            "wrote it, or run the command again with another folder, as numbers of both do not mix"
        )
    try:
        digest = document.pop("sha256", None)
        if digest != sha256_of({"schema": schema, **document}):
            raise ShapeError("its digest does not fit its content")
        check_shape(document, shape, path.stem)
    except (ShapeError, RecursionError, OverflowError) as error:
        raise DamagedError(f"{printable(path)} is damaged: {error}; {again}") from None
    return document
