"""`style train` and `style check`: styles learnt from painted frames, and how steady and strong styles are."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sdmetrics.cli.app import app, console, working
from sdmetrics.cli.console.tables import plain_table
from sdmetrics.cli.options import STYLES
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.styles.steadiness import STEADY, STRONG
from sdmetrics.errors import InputError, require

if TYPE_CHECKING:
    from sdmetrics.clips.styles.steadiness import Styled

style = typer.Typer(
    help="Learn a style from painted frames of a video, and check how steady and strong styles are.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.add_typer(style, name="style")

PAINTED = re.compile(r"(\d+)=(.+)", re.DOTALL)


@style.command()
def train(
    video: Annotated[Path, typer.Argument(help="Video file, or folder of frames.", show_default=False)],
    painted: Annotated[
        list[str],
        typer.Option(
            help="A painted frame: its number in the video, from 0, and the image, in the size of the frame; repeat "
            "for each.",
            metavar="N=IMAGE",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX network to write.")] = Path("style.onnx"),
    short_side: Annotated[
        int,
        typer.Option(
            min=32, help="What the shorter side is scaled to, in pixels: the size in which clips will be shown."
        ),
    ] = 256,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the training.")] = 800,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the training.")] = 0,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where to train: cpu, cuda, or a card such as cuda:1. Default: CUDA if there is a card.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Learn a style from one or a few painted frames of a video, as a network for --styles.

    The network learns from small random patches, so that it paints what looks alike alike, wherever it moves. Every 200
    steps a frame that was not painted is drawn to OUT.training/, where the same command resumes. Check the result:
    sdmetrics style check VIDEO --styles style.onnx
    """
    require("torch", extra="torch")
    from sdmetrics.torch.styling.painted import read_painted
    from sdmetrics.torch.styling.perceptual import vgg_at_hand
    from sdmetrics.torch.styling.train import train_style

    paintings: dict[int, Path] = {}
    for text in painted:
        found = PAINTED.fullmatch(text)
        if not found:
            raise InputError(f"--painted is {text!r}; expected the number of a frame and an image, e.g. 12=painted.png")
        if int(found[1]) in paintings:
            raise InputError(f"--painted names frame {int(found[1])} twice; pass one painting of each frame")
        paintings[int(found[1])] = Path(found[2])
    read = read_painted(video, paintings, short_side)
    height, width = read.held_out.shape[:2]
    console.print(
        f"{len(paintings)} painted, at {width} × {height}; losses: L1, adversarial{', VGG-16' * bool(vgg_at_hand())}; "
        f"a frame is drawn while it trains: {out}.training/",
        soft_wrap=True,
    )
    try:
        console.print(f"style: {train_style(read, out, steps=steps, seed=seed, device=device)}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again to resume.")
        sys.exit(130)


@style.command()
def check(
    clips: Annotated[Path, typer.Argument(help="Video, folder of videos, or other clips.", show_default=False)],
    styles: Annotated[list[str] | None, STYLES] = None,
    frames: Annotated[int, typer.Option(min=2, help="Consecutive frames of each video.")] = 8,
    size: Annotated[int, typer.Option(min=32, help="Height and width of the frames, in pixels.")] = 224,
) -> None:
    """Print how steady and how strong styles are: a style that flickers is taken for motion.

    Steady: the warp error, relative to the unstyled clip, should be at most 2.5. Strong: any two styles should differ
    by at least 0.12 of the value range. What misses a bound is marked with "!".
    """
    from sdmetrics.clips.open import list_clips
    from sdmetrics.clips.sampling import ClipShape
    from sdmetrics.clips.styles.built_in import STYLES as BUILT_IN
    from sdmetrics.clips.styles.networks import open_styles
    from sdmetrics.clips.styles.steadiness import styled

    opened = open_styles(styles or BUILT_IN)
    listed = list_clips(ClipRequest(clips), ClipShape(frames, 1, (size, size)))
    found, skipped = {}, []
    with working("styles"):
        for clip in listed:
            try:
                found[clip.id] = styled(clip.frames, opened)
            except InputError as error:
                skipped.append(f"skipped {clip.id}: {error}")
    for text in skipped:
        console.print(text, style="yellow", soft_wrap=True)
    if not found:
        raise InputError("no clip can be used")
    title = f"warp error relative to the unstyled clip, {frames} frames of {size} × {size}"
    for table in [_steady(found, list(opened), title), *([_strong(found)] if len(opened) > 1 else [])]:
        table.min_width = min(len(str(table.title)), console.width)
        console.print(table)


def _steady(found: Mapping[str, Styled], styles: Sequence[str], title: str) -> Table:
    """Return the table of warp errors, and of times."""
    rows = [[name, *(_marked(clip.steady[style], STEADY, 1) for style in styles)] for name, clip in found.items()]
    least = {style: min(clip.seconds[style] for clip in found.values()) for style in styles}
    return plain_table(title, ["clip", *styles], [*rows, ["ms a frame", *(f"{1e3 * least[s]:.1f}" for s in styles)]])


def _strong(found: Mapping[str, Styled]) -> Table:
    """Return the table of the differences of each two styles."""
    both = list(next(iter(found.values())).strong)
    rows = [
        [name, *(f"{_marked(clip.strong[pair][0], STRONG, -1)} / {clip.strong[pair][1]:.2f}" for pair in both)]
        for name, clip in found.items()
    ]
    return plain_table(
        "difference in value / in texture, parts of their ranges", ["clip", *(f"{a},\n{b}" for a, b in both)], rows
    )


def _marked(value: float | None, bound: float, sign: int) -> str:
    """Return a value as text, with a mark if it misses the bound."""
    if value is None:
        return "–"
    return f"{value:.2f}{'!' * (sign * value > sign * bound)}"
