"""RunSource: which model and clips a run was made from, so that later commands find them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING

from sdmetrics._files import write_json
from sdmetrics._reading import read_json
from sdmetrics._text import printable
from sdmetrics.clips.generated.names import is_generated
from sdmetrics.clips.request import ClipRequest
from sdmetrics.errors import InputError
from sdmetrics.loading.open import Clips, list_requested
from sdmetrics.loading.user_code import is_code, split_code

if TYPE_CHECKING:
    from sdmetrics.runners.protocols import Runner

FILE_NAME = "source.json"
SCHEMA = 2

CHOICE = ("clips_per_video", "stride", "sampling", "fps")
"""The fields of a request that say how clips are cut, of whatever videos."""

NUMBERS: Mapping[str, type[int] | UnionType] = {"clips_per_video": int, "stride": int, "fps": int | float}
"""The types of the fields that are no text."""


@dataclass(frozen=True)
class RunSource:
    """The model and the clips of a run.

    Parameters
    ----------
    model
        The path of the ONNX file, or the function that builds the model, see `open_model`; None where it is neither.
    request
        The clips; None where they were not opened from a path.
    dropped
        Which fields of the run's request do not apply, because other clips are used instead.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as run:
    ...     model = Path(run, "model.onnx")
    ...     model.touch()
    ...     _ = RunSource(str(model), ClipRequest("world:320")).save(run)
    ...     RunSource.load(run).request.path
    'world:320'
    """

    model: str | None
    request: ClipRequest | None
    dropped: tuple[str, ...] = field(default=(), compare=False)

    def save(self, run: str | Path) -> Path:
        """Write `source.json` into the folder of a run; return its path.

        Paths are absolute, except those of files inside the folder, which may move with it.
        """
        run = Path(run)
        document = {
            "schema": SCHEMA,
            "model": None if self.model is None else _stored_model(self.model, run),
            "clips": None if self.request is None else _stored_request(self.request, run),
        }
        return write_json(run / FILE_NAME, document)

    @classmethod
    def load(cls, run: str | Path, *, model: str | Path | None = None, clips: str | Path | None = None) -> RunSource:
        """Read `source.json` of the folder of a run.

        Parameters
        ----------
        run
            The folder.
        model, clips
            Used instead of what the run was made from: the file is not needed where both are passed.

        Raises
        ------
        InputError
            If there is no such file, it is damaged, what it names has moved or is not a file, or the model is code and
            was not passed.
        """
        path = Path(run) / FILE_NAME
        if model is not None and clips is not None and not path.exists():
            return cls(str(model), ClipRequest(str(clips)))
        source = _read(path)
        if model is not None:
            source = replace(source, model=str(model))
        elif source.model is None:
            raise InputError(
                f"{run} was not made from a model file; pass the file with --model FILE, or use sdmetrics.ablate"
            )
        elif is_code(source.model):
            # A folder from a stranger must not decide which code is run.
            raise InputError(
                f"{run} was made from the code {printable(source.model)}, which runs only where you name it: pass "
                f"--model {shlex.quote(printable(source.model))}"
            )
        elif not Path(source.model).is_file():
            raise InputError(f"the model of {run} is no longer at {source.model}; pass its path with --model FILE")
        if clips is not None:
            # Folders and split belong to the clips that are replaced.
            before = source.request or ClipRequest(clips)
            kept = {name: getattr(before, name) for name in CHOICE}
            if is_generated(clips):  # these have one clip per video, whose frames span it
                kept = {"clips_per_video": before.clips_per_video and 1}
            request = ClipRequest(str(clips), **kept)
            fields = ("videos", "split", "flow", *CHOICE)
            dropped = tuple(name for name in fields if getattr(before, name) not in (None, getattr(request, name)))
            return replace(source, request=request, dropped=dropped)
        if source.request is None:
            raise InputError(f"the clips of {run} were not opened from a path; pass one with --clips CLIPS")
        if not is_generated(source.request.path) and not Path(source.request.path).exists():
            raise InputError(
                f"the clips of {run} are no longer at {source.request.path}; pass their path with --clips CLIPS"
            )
        return source

    @classmethod
    def of_sum(cls, runs: Iterable[str | Path], *, one_run: bool) -> RunSource | None:
        """Return the source of the sum of runs; None where none of their folders has a `source.json`.

        With `one_run` they are folders of one run, e.g. of machines that share no disk: the first whose files are on
        this machine decides. The clips of several runs have no common path: only the model is kept.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        sources = [_read(path) for run in runs if (path := Path(run) / FILE_NAME).exists()]
        if not sources:
            return None
        first = min(sources, key=lambda source: not source._is_here())
        return first if one_run else replace(first, request=None)

    def _is_here(self) -> bool:
        """Return whether the files of the model and the clips exist; code is not looked for."""
        files = [] if self.model is None or is_code(self.model) else [self.model]
        files += [] if self.request is None or is_generated(self.request.path) else [str(self.request.path)]
        return all(Path(file).exists() for file in files)

    def open_clips(self, runner: Runner, cache: str | Path | None = None) -> Clips:
        """Return the clips, cut as in the run, with the frames and size that the runner's model reads.

        `cache` is a folder of estimated flow.
        """
        if self.request is None:
            raise InputError("the clips of the run were not opened from a path; pass one with --clips CLIPS")
        return list_requested(self.request, runner, cache)


def _stored_model(model: str, run: Path) -> str:
    """Return what `source.json` holds of a model."""
    if not is_code(model):
        return _stored(model, run)
    place, function = split_code(model)
    return f"{_stored(place, run) if place.endswith('.py') else place}:{function}"


def _stored(path: str | Path, run: Path) -> str:
    """Return an absolute path, or a path relative to the run's folder if it is inside."""
    full, folder = Path(path).resolve(), run.resolve()
    return (full.relative_to(folder) if full.is_relative_to(folder) else full).as_posix()


def _stored_request(request: ClipRequest, run: Path) -> dict[str, object]:
    """Return a request as a JSON document."""
    folders = {name: getattr(request, name) for name in ("videos", "flow")}
    split = request.split
    return {
        **asdict(request),
        "path": str(request.path) if is_generated(request.path) else _stored(request.path, run),
        **{name: None if folder is None else _stored(folder, run) for name, folder in folders.items()},
        # A split is a file, or one of the data set's own names.
        "split": split if split is None or not Path(split).is_file() else _stored(split, run),
    }


def _read(path: Path) -> RunSource:
    """Read the file, with absolute paths."""
    options = "pass --model FILE and --clips CLIPS"
    folder = path.parent.resolve()
    if not path.exists():
        raise InputError(
            f"{printable(path.parent)} has no {path.name} (it was not created by `sdmetrics analyze`); {options}"
        )
    try:
        document = read_json(path)
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")
        if document.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        model, clips = document.pop("model"), document.pop("clips")
        if document:
            raise ValueError(f"unknown: {', '.join(document)}")
        return RunSource(
            model=None if model is None else _found_model(model, folder),
            request=None if clips is None else _request(clips, folder),
        )
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputError) else repr(error)
        raise InputError(f"{printable(path)} cannot be read ({printable(reason):.300}); {options}") from None


def _found_model(stored: str, folder: Path) -> str:
    """Return the model of a JSON document."""
    is_module = is_code(stored) and not split_code(stored)[0].endswith(".py")
    return stored if is_module else str(folder / stored)


def _request(stored: dict[str, object], folder: Path) -> ClipRequest:
    """Return the request of a JSON document."""
    request = ClipRequest(**stored)  # type: ignore[arg-type]
    for name, value in stored.items():
        if not isinstance(value, NUMBERS.get(name, str) | None):
            raise TypeError(f"{name} is {value!r}")
    split = request.split
    return replace(
        request,
        path=request.path if is_generated(request.path) else str(folder / request.path),
        videos=None if request.videos is None else str(folder / request.videos),
        flow=None if request.flow is None else str(folder / request.flow),
        split=str(folder / split) if split is not None and (folder / split).is_file() else split,
    )
