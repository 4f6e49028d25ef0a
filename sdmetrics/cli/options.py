"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Any

import typer

Channels = tuple[float, float, float]

MODEL = typer.Argument(help="An ONNX file: exported by this package, a probe, or made by anyone.", show_default=False)
CLIPS = typer.Argument(
    help="A video; a folder of videos, of frame folders or of style folders; a CSV file with the header "
    "path,label,start,end; the published annotations of ActivityNet, Kinetics, Something-Something, SomethingElse "
    "or Diving48; DAVIS, YouTube-VOS, TAO-VOS, ImageNet VID or MoCA (the folder), YouTube-VIS or OVIS (the JSON file), "
    "which have masks; or world:N, world:N:SEED: N generated clips whose answer is known, camouflage:N: with masks.",
    show_default=False,
)
LAYER = typer.Option("--layer", "-l", help="A layer to measure; may be repeated. Default: those the file declares.")
HALF = typer.Option(
    "--half", help="Run the model's body in float16; scaling, pooling and moments keep their precision."
)
LAYOUT = typer.Option(help="The input's axes, such as NCTHW, NTCHW or NTHWC.")
FRAMES = typer.Option(min=1, help="Frames the model reads.")
STRIDE = typer.Option(min=1, help="Distance between them in the video.")
SIZE = typer.Option(help="Height and width in pixels.")
MEAN = typer.Option(help="Per RGB channel, of values from 0 to 1.")
STD = typer.Option(help="Per RGB channel.")
INPUT = typer.Option(
    "--input",
    help="How one input of several is fed: its name, then FIELD=VALUE for source (rgb; flow, optical flow as a "
    "picture; flow_vectors, as two channels), layout, frames, stride, size, mean and std. May be repeated. Such as "
    "--input 'flow source=flow frames=1 mean=0.5,0.5,0.5'. What is not said here is as the other options say.",
    show_default=False,
)
SEED = typer.Option(min=0, help="Draws styles and shuffles.")
STYLES = typer.Option(
    "--styles",
    help="A style, to be repeated: an image-to-image ONNX network, or the name of a built-in one. Default: the styles "
    "that the clips come in, else the four built-in ones.",
)
PER_VIDEO = typer.Option(min=1, help="Clips per video, evenly spread; a single one is cut from the middle.")
CLIP_STRIDE = typer.Option(min=1, help="Distance between a clip's frames in the video. Default: the model's.")
VIDEOS = typer.Option(help="With published annotations: the folder of their videos. Default: beside them.")
SPLIT = typer.Option(
    help="With masks: a file with the name of a video in every line, or one of the data set's own splits, such as val. "
    "Default: every annotated video.",
    show_default=False,
)
FLOW_FOLDER = "flow"
"""In the folder of a run: the optical flow that was estimated."""
FLOW = typer.Option(
    help="With masks or folders of frames: the folder of the optical flow, a file for every image (.flo, KITTI's PNG "
    "or colour-coded). Default: it is estimated; for folders of styles, from a folder 'unstyled' beside them.",
    show_default=False,
)
PROVIDER = typer.Option(help="auto, cpu or cuda; asked for cuda, it is CUDA or an error.")
THREADS = typer.Option(min=1, help="CPU threads of the model. Default: the cores this process may use.")
TF32 = typer.Option("--tf32", help="Let CUDA multiply in TF32: faster, and further from the CPU's numbers.")
BATCH = typer.Option(min=1, help="Views per run of the model.")
LABELS = typer.Option(
    help="The model's classes: one name per line in the order of its outputs, or JSON, a list of names or an object of "
    "names and indices. Default: the clips' labels are indices.",
    show_default=False,
)
MODEL_OUTPUT = typer.Option(
    "--model-output",
    help="Name of the model output that holds the class scores or the foreground map. Default: the only one that fits.",
    show_default=False,
)


def given_options(**options: object) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
