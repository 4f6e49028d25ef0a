"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from sdmetrics.cli.input_option import NUMBERS, numbers
from sdmetrics.errors import InputError
from sdmetrics.runners.batch_size import AUTO

RUN = typer.Argument(help="Folder of a run.", show_default=False)
MODEL = typer.Argument(help="ONNX file: exported by sdmetrics, a probe, or any other.", show_default=False)
CODE_HELP = (
    "FILE.py:FUNCTION or package.module:FUNCTION, your own code: it is run, and the function returns a PyTorch module, "
    "its inputs and its layers, see docs/pytorch.md."
)
ANY_MODEL = typer.Argument(
    help=f"ONNX file: exported by sdmetrics, a probe, or any other. Or {CODE_HELP}", show_default=False
)
CLIPS_HELP = (
    "Video, folder of videos, list of videos (CSV, text or JSON) or data set, see docs/clips.md; or world:N or "
    "camouflage:N, N generated clips."
)
CLIPS = typer.Argument(help=CLIPS_HELP, show_default=False)
LAYER = typer.Option(
    "--layer",
    "-l",
    help="Layer to measure; repeat for several. 'NAME axis=2' specifies the axis of its channels, where the file "
    "leaves it open. Default: the layers that the file declares.",
)
HALF = typer.Option(
    "--half", help="Run the model's body in float16; scaling, pooling and moments keep their precision."
)
LAYOUT = typer.Option(
    help="Order of the input's axes, e.g. NCTHW, NTCHW or NTHWC; NT,C,H,W if the batch holds the frames of all clips, "
    "N1CTHW with an axis of one, CTHW without a batch."
)
FRAMES = typer.Option(min=1, help="Number of frames that the model reads.")
STRIDE = typer.Option(min=1, help="Distance between these frames in the video, in frames.")
SIZE = typer.Option(metavar="H W", help="Height and width of the input, in pixels.")
MEAN = typer.Option(metavar="R G B", help="Mean per channel, for values from 0 to 1.")
STD = typer.Option(metavar="R G B", help="Standard deviation per channel, for values from 0 to 1.")
COLOURS = typer.Option(help="Order of the channels that the model reads: rgb or bgr. Default: rgb.")
INPUT = typer.Option(
    "--input",
    help="Settings for one model input: its name, then FIELD=VALUE pairs; repeat for each input. Fields: source (rgb; "
    "flow, colour-coded optical flow; flow_vectors, optical flow in two channels), layout, frames, stride, size, mean, "
    "std, colours, resize, sampling, fps, and for flow_vectors limit: vectors up to ± this number of pixels are fed as "
    "-1 to 1. Fields that are left out fall back to the options above. An input that is not video is held still with "
    "constant (a number, zeros, ones or a .npy file) and perhaps shape (N: the clips). Examples: "
    "--input 'flow source=flow_vectors limit=20', --input 'input_ids constant=0 shape=1,77'.",
    show_default=False,
)
SEED = typer.Option(min=0, help="Random seed for style pairs and shuffles.")
STYLES = typer.Option(
    "--styles",
    help="Style: the name of a built-in style, or an image-to-image ONNX network; repeat for each style. Default: the "
    "styles that the clips come in, else the four built-in ones.",
)
CLIPS_PER_VIDEO_HELP = "Number of clips per video, evenly spaced (1: the centre of the video)."
PER_VIDEO = typer.Option(min=1, help=CLIPS_PER_VIDEO_HELP)
CLIP_STRIDE = typer.Option(
    min=1, help="Distance between a clip's frames in the video, in frames. Default: the model's stride."
)
SAMPLING_HELP = (
    "How frames are chosen: window, the stride apart; spread, from the middles of as many equal parts of the video."
)
FPS_HELP = "Frames per second to which videos are resampled before the stride counts."
RESIZE = typer.Option(
    metavar="SIDE",
    help="What frames are scaled to before the centre of --size is cropped: the shorter side in pixels, or H,W. "
    "Default: what just covers it.",
    show_default=False,
)
SAMPLING = typer.Option(help=f"{SAMPLING_HELP} Default: window.", show_default=False)
FPS = typer.Option(help=f"{FPS_HELP} Default: the video's own frames.", show_default=False)
CLIP_SAMPLING = typer.Option("--sampling", help=f"{SAMPLING_HELP} Default: the model's.", show_default=False)
CLIP_FPS = typer.Option("--fps", help=f"{FPS_HELP} Default: the model's, if it has one.", show_default=False)
VIDEOS = typer.Option(
    help="Folder of the videos, for lists and published annotations. Default: the folder of the list.",
    show_default=False,
)
SPLIT = typer.Option(
    help="Split of a data set with segmentation masks: a file with one video name per line, or the name of one of the "
    "data set's own splits, e.g. val; or a split of HMDB51's lists, e.g. test1. Default: every annotated video, or "
    "test.",
    show_default=False,
)
FLOW = typer.Option(
    help="Folder of the optical flow, for clips with segmentation masks or folders of frames: one file per image "
    "(.flo, KITTI's PNG or colour-coded). Default: the flow is estimated; for style folders, from a sibling folder "
    "'unstyled'.",
    show_default=False,
)
PROVIDER = typer.Option(
    help="Execution provider: auto, cpu or cuda. With cuda, fail instead of falling back to the CPU."
)
DEVICE = typer.Option(
    help="Graphics card: cuda:1 for the second; auto for that of this process on its machine (LOCAL_RANK, else "
    "SLURM_LOCALID, else 0). Default: the first.",
    show_default=False,
)
THREADS = typer.Option(min=1, help="Number of CPU threads for the model. Default: the cores this process may use.")
ESTIMATOR = typer.Option(
    help="Estimator of the scores: pearson (the paper), icc, or reference (the authors' released code, which differs "
    "from the paper)."
)
THRESHOLD = typer.Option(min=0, max=1, help="Score above which a unit encodes a factor (λ of Eq. 3).")
PART = typer.Option(
    help="Part of the work that this process does, e.g. 3/8; or auto: the part that Slurm, torchrun or an indexed job "
    "of Kubernetes gives it, see docs/cluster.md. Only finished shards are written; the same command without --part, "
    "once all parts are done, writes the results.",
    metavar="I/N|auto",
    show_default=False,
)
DASK = typer.Option(
    help="Dask cluster that measures the shards: the address of its scheduler, e.g. tcp://HOST:8786; or local:N, N "
    "processes on this machine, which share its cores. Default: this process.",
    show_default=False,
)
TF32 = typer.Option("--tf32", help="Allow TF32 matrix multiplication on CUDA (faster, less precise).")


def batch_size(text: str) -> int | str:
    """Return a batch size; `auto` is chosen where the model runs."""
    if text != AUTO and not (text.isdecimal() and int(text)):
        raise typer.BadParameter(f"{text!r} is neither a whole number, at least 1, nor {AUTO}.")
    return text if text == AUTO else int(text)


BATCH = typer.Option(
    help="Batch size, in views, for ablate in clips; auto: 6, for ablate 16; on CUDA as many as make it faster and fit "
    "its memory, at most 48. Default: auto.",
    metavar="NUMBER|auto",
    parser=batch_size,
    show_default=False,
)
LABELS = typer.Option(
    help="File with the model's classes: one name per line in the order of the outputs, UCF101's classInd.txt, "
    "Kinetics' CSV (id,name), JSON (a list of names, or names and indices) or a config.json of Transformers. Default: "
    "the clips' labels are output indices.",
    show_default=False,
)
MODEL_OUTPUT = typer.Option(
    "--model-output",
    help="Name of the model output that holds the class scores or the foreground map. Default: the only one that fits.",
    show_default=False,
)
LOGITS = typer.Option(
    "--logits/--probabilities",
    help="Whether the foreground map is logits or probabilities. Default: logits if any value of the first batch is "
    "outside 0 to 1.",
    show_default=False,
)
SCORES = typer.Option(
    "--logits/--probabilities",
    help="Whether the foreground map, or with --counterfactual the class scores, are logits or probabilities. Default: "
    "logits if any value is outside 0 to 1; class scores within are probabilities if they add up to 1, else an error.",
    show_default=False,
)
PROTOCOL = typer.Option(
    help="Score for clips with segmentation masks: region (IoU of the foreground and the annotation) or moca (IoU of "
    "the boxes around them; evaluate adds success rates). Default: region.",
    show_default=False,
)
FIGURES = typer.Option(help="Folder for the figures as PNG and SVG. Default: none are written.", show_default=False)


COUNTS = {"--size": (int, (2,)), "--mean": (float, (3, 2)), "--std": (float, (3, 2)), "--resize": (int, (1, 2))}
"""Options that take several numbers, with spaces or commas between them."""


class NumbersCommand(TyperCommand):
    """A command whose options of several numbers take them with spaces or with commas."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  Typer has no public class for it
        """Join the numbers that follow such an option."""
        return super().parse_args(ctx, join_numbers(args))


def join_numbers(args: Sequence[str]) -> list[str]:
    """Return the words of a command line with the numbers of each option of several numbers in one word.

    Examples
    --------
    >>> join_numbers(["m.onnx", "--size", "64", "64", "--mean", "0.5,0.5,0.5", "8"])
    ['m.onnx', '--size', '64,64', '--mean', '0.5,0.5,0.5', '8']
    """
    joined: list[str] = []
    missing = 0
    for word in args:
        number = NUMBERS.fullmatch(word) is not None
        if missing and number and joined[-1] not in COUNTS:
            joined[-1] += f",{word}"
        else:
            joined.append(word)
        left = max(0, missing - len(word.replace(",", " ").split())) if number else 0
        missing = max(COUNTS[word][1]) if word in COUNTS else left
    return joined


def parse_numbers(**texts: str | None) -> dict[str, Any]:
    """Return the numbers of the options that were passed, by their names: a tuple, or one number for one side.

    Raises
    ------
    InputError
        If an option has another number of numbers than it needs, or something else.
    """
    found = {}
    for name, text in texts.items():
        kind, counts = COUNTS[f"--{name}"]
        try:
            found[name] = None if text is None else numbers(kind, *counts)(text)
        except (ValueError, OverflowError):
            raise InputError(
                f"--{name} is {text!r}; expected {'1 or 2' if 1 in counts else counts[0]} numbers, with spaces or "
                "commas between them"
            ) from None
    return {name: value[0] if len(value) == 1 else value for name, value in found.items() if value is not None}


def given_options(**options: object) -> dict[str, Any]:
    """Return the options that were passed."""
    return {name: value for name, value in options.items() if value is not None}


def check_conflicts(
    masks: bool, for_masks: Mapping[str, object], for_labels: Mapping[str, object] | None = None
) -> None:
    """Check that no option was passed that has no meaning for the clips.

    Parameters
    ----------
    masks
        Whether the clips have segmentation masks.
    for_masks, for_labels
        The options for clips with segmentation masks, and those for labelled clips, by name. `None` and `False` mean
        that the option was not passed.

    Raises
    ------
    InputError
        If an option for the other kind of clips was passed.

    Examples
    --------
    >>> check_conflicts(False, {"--flip": True, "--threshold": None})
    Traceback (most recent call last):
    sdmetrics.errors.InputError: --flip requires clips with segmentation masks; drop the option or pass an annotated \
data set
    """
    useless = (for_labels or {}) if masks else for_masks
    passed = [name for name, value in useless.items() if value is not None and value is not False]
    if not passed:
        return
    kind, remedy = ("without", "labelled videos") if masks else ("with", "an annotated data set")
    requires, option = ("requires", "the option") if len(passed) == 1 else ("require", "the options")
    raise InputError(f"{', '.join(passed)} {requires} clips {kind} segmentation masks; drop {option} or pass {remedy}")
