"""Tell from weights alone which architecture they are of: folders and hub names of Transformers, and some files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._text import printable
from sdmetrics.errors import InputError
from sdmetrics.exporters._weights.checkpoints import read_checkpoint
from sdmetrics.exporters._weights.layouts.table import LAYOUTS, translated
from sdmetrics.exporters._weights.transformers_folder import CONFIG, SAFE_WEIGHTS, download, read_config
from sdmetrics.exporters.architectures.transformers import MODEL_TYPES, ROWS

if TYPE_CHECKING:
    from sdmetrics.exporters.architectures.architecture import State

FILES = (".pyth", ".pth", ".pt", ".safetensors", ".tar", ".ckpt", ".bin")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
BY_NAME = {row.name: row for row in ROWS}


def names_weights(name: str) -> bool:
    """Return whether this is a file or folder of weights, or may be a repository of the Hugging Face hub.

    Examples
    --------
    >>> names_weights("MCG-NJU/videomae-base"), names_weights("x3d_s"), names_weights("models/my.onnx")
    (True, False, False)
    """
    path = Path(name)
    if path.is_dir():
        return (path / CONFIG).is_file()
    if path.exists() or path.suffix in FILES:
        return path.suffix in FILES
    # Below a folder that exists it would be a wrong path.
    return bool(REPOSITORY.fullmatch(name)) and not re.search(r"\.[a-z]\w+$", name) and not path.parent.exists()


def recognise(name: str, holder: str | None = None) -> tuple[str, Path]:
    """Return the architecture of weights, by its name in the catalogue, and the file or folder that has them.

    Raises
    ------
    InputError
        If they cannot be read or downloaded, or do not tell their architecture.
    """
    path = Path(name)
    if not path.exists() and path.suffix not in FILES:
        path = download(name)
    if not path.is_dir():
        return _recognise_file(path, holder), path
    kind = read_config(path).get("model_type")
    if isinstance(kind, str) and kind in MODEL_TYPES:
        return MODEL_TYPES[kind], path
    # Code of its own in the repository, which is not run, around a network that is known.
    if "auto_map" in read_config(path) and (path / SAFE_WEIGHTS[0]).is_file():
        return _recognise_file(path / SAFE_WEIGHTS[0], holder), path / SAFE_WEIGHTS[0]
    raise InputError(
        f"{name} has a model of the type {printable(kind)}; allowed: {', '.join(sorted(MODEL_TYPES))}. Export it with "
        "sdmetrics.exporters.torch.export"
    )


def _recognise_file(path: Path, holder: str | None) -> str:
    """Return the architecture of a file's weights."""
    state = read_checkpoint(path, holder)
    for layout in LAYOUTS:
        if layout.row and any(re.fullmatch(layout.given, name) for name in state):
            options = layout.options(state)
            if options and _fits(layout.row, options, state):
                return layout.row
    raise InputError(
        f"{path} does not tell its architecture. Name it: sdmetrics export NAME --checkpoint {path}; the names: "
        "sdmetrics export --list"
    )


def _fits(row: str, options: dict[str, object], state: State) -> bool:
    """Return whether an architecture of these sizes has the weights of a file, whatever further parts the file has."""
    import torch

    build = BY_NAME[row].build
    try:
        with torch.device("meta"):
            module = build(BY_NAME[row].inputs, **options)  # type: ignore[call-arg]
    except Exception:  # sizes that Transformers does not build
        return False
    names = module.state_dict()
    given, _ = translated(state, names)
    parts = {name.partition(".")[0] for name in names}
    return names.keys() == {name for name in given if name.partition(".")[0] in parts}
