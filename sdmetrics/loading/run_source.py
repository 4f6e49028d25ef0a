"""What a run was made of: the model, the clips and how they were cut, so that later commands find them again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._files import replacing
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.names import is_generated
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_clips

if TYPE_CHECKING:
    from sdmetrics.runners.protocols import Runner

FILE_NAME = "source.json"
SCHEMA = 1


@dataclass(frozen=True)
class RunSource:
    """The model and the clips of a run.

    Parameters
    ----------
    model
        The path of the ONNX file.
    clips
        A path, or a generated world such as `"world:320"`, as `open_clips` takes it.
    layers
        The layers that were asked for; None: those that the model declares.
    clips_per_video, stride, videos, split, flow
        As of `open_clips`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as run:
    ...     model = Path(run, "model.onnx")
    ...     model.touch()
    ...     _ = RunSource(str(model), "world:320").save(run)
    ...     RunSource.load(run).clips
    'world:320'
    """

    model: str
    clips: str
    layers: tuple[str, ...] | None = None
    clips_per_video: int = 1
    stride: int | None = None
    videos: str | None = None
    split: str | None = None
    flow: str | None = None

    def save(self, run: str | Path) -> Path:
        """Write `source.json` into the folder of a run; return its path.

        Paths are written in full, but for files inside the folder, which may move with it.
        """
        run = Path(run)
        clips = self.clips if is_generated(self.clips) else _stored(self.clips, run)
        videos, flow = (None if folder is None else _stored(folder, run) for folder in (self.videos, self.flow))
        # A split is a file, or one of the data set's own names.
        split = _stored(self.split, run) if self.split is not None and Path(self.split).is_file() else self.split
        stored = replace(self, model=_stored(self.model, run), clips=clips, videos=videos, split=split, flow=flow)
        document = asdict(stored)
        with replacing(run / FILE_NAME) as path:
            path.write_text(json.dumps({"schema": SCHEMA, **document}, indent=1) + "\n", encoding="utf-8")
        return run / FILE_NAME

    @classmethod
    def load(cls, run: str | Path, *, model: str | Path | None = None, clips: str | Path | None = None) -> RunSource:
        """Read `source.json` of the folder of a run.

        Parameters
        ----------
        run
            The folder.
        model, clips
            Taken instead of what the run was made of: the file need not be there where both are given.

        Raises
        ------
        InputError
            If there is no such file, it is damaged, or what it names has moved.
        """
        path = Path(run) / FILE_NAME
        if model is not None and clips is not None and not path.exists():
            return cls(str(model), str(clips))
        found = _read(path)
        if model is not None:
            found = replace(found, model=str(model))
        elif not Path(found.model).is_file():
            raise InputError(f"the model of {run} is not at {found.model} any more; say where it is: --model FILE")
        if clips is not None:
            # Folders and split belong to the clips that are no longer asked for.
            return replace(found, clips=str(clips), videos=None, split=None, flow=None)
        if not is_generated(found.clips) and not Path(found.clips).exists():
            raise InputError(f"the clips of {run} are not at {found.clips} any more; say where they are: --clips CLIPS")
        return found

    def open_clips(self, runner: Runner, cache: str | Path | None = None) -> list[Clip]:
        """Return the clips, cut as in the run, of the frames and size that the runner's model reads.

        `cache` is a folder of estimated flow.
        """
        return open_clips(
            self.clips,
            runner,
            clips_per_video=self.clips_per_video,
            stride=self.stride,
            videos=self.videos,
            split=self.split,
            flow=self.flow,
            cache=cache,
        )


def _stored(path: str, run: Path) -> str:
    """Return a path in full, or inside the run's folder from there."""
    full, folder = Path(path).resolve(), run.resolve()
    return (full.relative_to(folder) if full.is_relative_to(folder) else full).as_posix()


def _read(path: Path) -> RunSource:
    """Read the file, with full paths."""
    options = "say what it was made of: --model FILE --clips CLIPS"
    folder = path.parent.resolve()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        layers, clips, videos = (document.pop(key) for key in ("layers", "clips", "videos"))
        split, flow = (document.pop(key, None) for key in ("split", "flow"))
        return RunSource(
            model=str(folder / document.pop("model")),
            clips=clips if is_generated(clips) else str(folder / clips),
            layers=None if layers is None else tuple(layers),
            videos=None if videos is None else str(folder / videos),
            split=str(folder / split) if split is not None and (folder / split).is_file() else split,
            flow=None if flow is None else str(folder / flow),
            **document,
        )
    except FileNotFoundError:
        raise InputError(f"{path.parent} holds no {path.name}, as runs of before; {options}") from None
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); {options}") from None
