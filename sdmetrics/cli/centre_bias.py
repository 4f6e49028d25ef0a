"""`centre-bias`: the position of objects in the frames of annotated data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdmetrics.cli.app import app, console, print_part, print_skipped, resumable
from sdmetrics.cli.console.tables import Estimate, plain_table
from sdmetrics.cli.options import PART, SPLIT, VIDEOS
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from sdmetrics.clips.clip import Clip

ANY_SIZE = (224, 224)
"""A placeholder: frames are not decoded, and masks keep their own size."""


@app.command(name="centre-bias")
def centre_bias(
    clips: Annotated[
        list[Path], typer.Argument(help="Data sets with segmentation masks (see docs/clips.md).", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the numbers and the figure; parts/ in it resumes.")
    ] = Path("centre-bias"),
    clips_per_video: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of frames per video, evenly spaced. Default: all annotated frames.", show_default=False
        ),
    ] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    split: Annotated[str | None, SPLIT] = None,
    part: Annotated[str | None, PART] = None,
) -> None:
    """Measure the centre bias of annotated data sets: average the segmentation masks to a map and a number.

    The centre bias is the object density in the central box (half the height and width) divided by the density over the
    whole frame: 1 for uniformly placed objects, 4 if all are inside the box.
    """
    from sdmetrics.analysis.parallel.parts import Part
    from sdmetrics.evaluation.centre_bias import centre_bias as measure_bias
    from sdmetrics.evaluation.centre_bias import save_centre_biases
    from sdmetrics.report.centre_bias_chart import number_text, write_centre_figure

    share = None if part is None else Part.parse(part)
    named = _by_name(clips)
    opened = {name: _annotated_clips(path, clips_per_video, videos, split) for name, path in named.items()}
    with resumable():
        biases = {name: measure_bias(data_set, out=out, part=share) for name, data_set in opened.items()}
    if share is not None:
        skipped = [row for bias in biases.values() for row in bias.skipped]
        print_part(share, sum(bias.clips for bias in biases.values()), skipped, "repeat the command without --part")
        return
    rows = [
        (name, Estimate(number_text(bias)), bias.clips, bias.frames, len(bias.skipped)) for name, bias in biases.items()
    ]
    console.print(
        plain_table("centre bias, with 95 % interval", ("data set", "centre bias", "clips", "frames", "skipped"), rows)
    )
    for name, bias in biases.items():
        print_skipped(bias.skipped, f"{name}: ")
    console.print(f"numbers: {save_centre_biases(biases, out / 'centre-bias.json')}", soft_wrap=True)
    for path in write_centre_figure(biases, out):
        console.print(f"figure: {path}", soft_wrap=True)


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the data sets by the names of their folders or files."""
    named: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().stem
        if name in named:
            listed = ", ".join(map(str, paths))
            raise InputError(f"two data sets have the same name, {name!r} ({listed}); rename one, or pass it only once")
        named[name] = path
    return named


def _annotated_clips(path: Path, clips_per_video: int | None, videos: Path | None, split: str | None) -> list[Clip]:
    """Return one clip per annotated frame."""
    from sdmetrics.clips.open import list_clips

    request = ClipRequest(path, clips_per_video, videos=videos, split=split)
    clips = list_clips(request, ClipShape(frames=1, stride=1, size=ANY_SIZE))
    if not any(clip.load_masks for clip in clips):
        raise InputError(f"{path} has no segmentation masks; use an annotated data set, e.g. DAVIS")
    return clips
