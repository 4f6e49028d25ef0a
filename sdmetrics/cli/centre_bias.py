"""`centre-bias`: where in the frame the objects of data sets are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdmetrics.cli.app import app, console, print_skipped
from sdmetrics.cli.options import SPLIT, VIDEOS
from sdmetrics.cli.tables import plain_table
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from sdmetrics.clips.clip import Clip

ANY_SIZE = (224, 224)
"""Of frames, which are not decoded; masks keep their own."""


@app.command(name="centre-bias")
def centre_bias(
    clips: Annotated[list[Path], typer.Argument(help="Data sets with masks, as evaluate reads.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")] = Path("centre-bias"),
    clips_per_video: Annotated[
        int | None,
        typer.Option(
            min=1, help="Frames per video, evenly spread. Default: all that are annotated.", show_default=False
        ),
    ] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    split: Annotated[str | None, SPLIT] = None,
) -> None:
    """Average the masks of data sets: their centre bias, as maps and as a number.

    The number is how much likelier an object is in the central box, of half the frame's height and width, than in all
    of it: 1 where objects are everywhere alike, 4 where they are in the box only.
    """
    from sdmetrics.evaluation.centre_bias import centre_bias as measure
    from sdmetrics.evaluation.centre_bias import save_centre_biases
    from sdmetrics.report.centre_bias_chart import number_text, write_centre_figure

    named = _by_name(clips)
    opened = {name: _annotated_clips(path, clips_per_video, videos, split) for name, path in named.items()}
    biases = {name: measure(of_set) for name, of_set in opened.items()}
    rows = [(name, number_text(bias), bias.clips, bias.frames, len(bias.skipped)) for name, bias in biases.items()]
    console.print(plain_table("centre bias", ("data set", "number", "clips", "frames", "skipped"), rows))
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
            given = ", ".join(map(str, paths))
            raise InputError(f"two data sets have the same name, {name!r} ({given}); rename one, or give it once")
        named[name] = path
    return named


def _annotated_clips(path: Path, clips_per_video: int | None, videos: Path | None, split: str | None) -> list[Clip]:
    """Return clips of one frame each, which is annotated."""
    from sdmetrics.clips.open import list_clips

    request = ClipRequest(path, clips_per_video, videos=videos, split=split)
    clips = list_clips(request, ClipShape(frames=1, stride=1, size=ANY_SIZE))
    if not any(clip.load_masks for clip in clips):
        raise InputError(f"{path} has no segmentation masks; use an annotated data set, e.g. DAVIS")
    return clips
