"""resumed(): load the stored parts of a run, compute and store the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from sdmetrics._interrupts import stop_if_asked
from sdmetrics._progress import progress_bar
from sdmetrics.analysis.shards import Slice
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable, decoding_threads, rendered_ahead
from sdmetrics.errors import note
from sdmetrics.runners.protocols import ModelRunner, circumstance_of

Part = TypeVar("Part")
Rendered = TypeVar("Rendered")


class Work(Protocol[Rendered, Part]):
    """How a part is computed from a slice of the clips, and stored."""

    @property
    def runner(self) -> ModelRunner:
        """What runs the model: clips are rendered on the cores that it leaves free."""

    def render(self, clip: Clip) -> Rendered:
        """Return what the model is fed with for a clip. Runs in threads, ahead of `make`."""

    def make(
        self, rendered: Iterator[tuple[Clip, Rendered | Unusable]], clips: int, advance: Callable[[int], None]
    ) -> Part:
        """Compute a part from its clips, each with its own rendering; call `advance` with the clips done."""

    def load(self, path: Path, piece: Slice) -> Part | None:
        """Read the part of a slice, or return `None` if the file is missing or damaged."""

    def save(self, part: Part, path: Path) -> None:
        """Store a part."""


def resumed(
    work: Work[Rendered, Part],
    pieces: Sequence[Slice],
    folder: Path | None,
    *,
    title: str = "clips",
    steps: int = 1,
    threads: int | None = None,
    progress: bool = True,
) -> Generator[tuple[Slice, Part], None, None]:
    """Yield every part in order; without a folder nothing is stored.

    Each file is read once. The clips of the missing parts are rendered ahead. If a file turns out to be damaged, its
    clips are rendered separately, so that every clip is paired with its own rendering.

    Parameters
    ----------
    work
        How a part is computed and stored.
    pieces
        The slices of the clips.
    folder
        The folder that parts are stored in.
    title, steps
        The title of the progress bar, and its steps per clip.
    threads
        In how many threads clips are rendered. Default: on the cores that the model leaves free.
    progress
        Whether to show the progress bar.
    """
    paths = [folder / piece.file_name if folder else None for piece in pieces]
    stored = [path is not None and path.exists() for path in paths]
    counts = [len(piece.clips) for piece in pieces]
    todo = (clip for piece, is_stored in zip(pieces, stored, strict=True) if not is_stored for clip in piece.clips)
    threads = threads or decoding_threads(circumstance_of(work.runner))
    done = steps * sum(count for count, is_stored in zip(counts, stored, strict=True) if is_stored)
    with (
        rendered_ahead(work.render, todo, threads) as ahead,
        progress_bar(title, steps * sum(counts), done, progress) as advance,
    ):
        for piece, path, count, is_stored in zip(pieces, paths, counts, stored, strict=True):
            part = work.load(path, piece) if path is not None and is_stored else None
            if part is None:
                stop_if_asked(paths)
                if is_stored:
                    advance(-steps * count)
                    with rendered_ahead(work.render, piece.clips, threads) as own:
                        part = work.make(own, count, advance)
                else:
                    part = work.make(islice(ahead, count), count, advance)
                if path is not None:
                    work.save(part, path)
            yield piece, part


def say_passing(passing: Sequence[Mapping[str, str]], *, stored: bool) -> None:
    """Say how many clips were skipped that may be usable another time, so that the run is repeated.

    `stored` tells whether the parts without such clips are kept.
    """
    if passing:
        note(
            f"{len(passing)} skipped clip(s) may be usable another time, e.g. {passing[-1]['id']}: "
            f"{passing[-1]['reason']}. Run the same again to try them{'; finished parts are kept' if stored else ''}"
        )
