"""Opens a model and the clips that suit it: the first two lines of every analysis."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.clips.clip import Clip
from sdmetrics.probes.inputs import ModelInput, reads_flow

if TYPE_CHECKING:
    from sdmetrics.runners.onnxruntime import OnnxRunner
    from sdmetrics.runners.protocols import Runner


def open_model(
    model: str | Path,
    *,
    layers: Sequence[str] | None = None,
    inputs: Sequence[ModelInput] | None = None,
    provider: str = "auto",
    threads: int | None = None,
    half: bool = False,
    allow_tf32: bool = False,
    masks: bool = False,
) -> OnnxRunner:
    """Return the runner of an ONNX model; one that is no probe yet is made into one.

    Parameters
    ----------
    model
        A probe, a model that an exporter of this package wrote, or any ONNX file with `layers` named.
    layers
        The layers to measure; default: those that the file declares. `sdmetrics layers MODEL` lists candidates. None
        at all (`()`) will do for `evaluate`, which asks for the model's outputs alone.
    inputs
        How the model's inputs are fed; default: as the file declares.
    provider
        `"auto"` (CUDA where it loads, else the CPU), `"cpu"` or `"cuda"`.
    threads
        Threads of the CPU provider; default: the cores that this process may use.
    half
        Whether a model that is no probe yet is run in half precision: made for GPUs; a CPU gains nothing.
    allow_tf32
        Whether CUDA may multiply in TF32, which has ten bits.
    masks
        Whether units of a model that is no probe yet can be removed; a probe was made so or not.

    Raises
    ------
    InputError
        If the model, a layer or the provider cannot be used, half precision does not hold the model's values, or
        TF32 is asked for on the CPU.

    Examples
    --------
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as path:
    ...     open_model(path, provider="cpu").inputs[0].frames
    8
    """
    from sdmetrics.exporters.probe import build_probe
    from sdmetrics.probes.metadata import read_metadata
    from sdmetrics.runners.onnxruntime import OnnxRunner

    with tempfile.TemporaryDirectory() as folder:
        probe = Path(model)
        declared = read_metadata(probe)
        if layers or inputs or half or declared is None or declared.kind != "probe":
            probe = build_probe(probe, Path(folder) / probe.name, layers=layers, inputs=inputs, masks=masks, half=half)
        return OnnxRunner(probe, provider=provider, threads=threads, allow_tf32=allow_tf32)


def open_clips(
    path: str | Path,
    runner: Runner,
    *,
    clips_per_video: int = 1,
    stride: int | None = None,
    videos: str | Path | None = None,
    split: str | Path | None = None,
    flow: str | Path | None = None,
    cache: str | Path | None = None,
) -> list[Clip]:
    """Return the clips of the videos at `path`, cut to the frames and size that the runner's model reads.

    Parameters
    ----------
    path
        A video, a folder of videos, of frame folders or of style folders, a CSV manifest `path,label,start,end`, or the
        annotations of ActivityNet, Kinetics, Something-Something, SomethingElse or Diving48 as they are published;
        DAVIS, YouTube-VOS, TAO-VOS, ImageNet VID or MoCA (a folder), YouTube-VIS or OVIS (the JSON file), whose clips
        have masks and optical flow; or `"world:N"`, `"world:N:SEED"`: `N` generated clips whose labels and answer are
        known, `"camouflage:N"`: with objects that only motion shows.
    runner
        Its inputs say how many frames a clip has, how far apart, and of which size.
    clips_per_video
        Clips per video, evenly spread; one is cut from the middle. 0, with masks: all that is annotated.
    stride
        Distance between frames in the video; default: the model's own.
    videos
        With published annotations: the folder of their videos. Default: the folder that the annotations lie in.
    split
        With masks: a file with the name of a video in every line, or the name of one of the data set's own splits.
    flow
        With masks, or with folders of frames: a folder with the optical flow of every image. Default: it is estimated,
        for folders of styles from a folder `unstyled` beside them.
    cache
        A folder to keep estimated flow in, for models that read it.

    Raises
    ------
    InputError
        If there are no videos at `path`.

    Examples
    --------
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as model:
    ...     open_clips("holiday.mp4", open_model(model, provider="cpu"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 does not exist; give a video, a folder or a CSV manifest
    """
    from sdmetrics.clips.open import open_clips as open_dataset

    widest = max(runner.inputs, key=lambda model_input: model_input.frames)
    return open_dataset(
        path,
        frames=widest.frames,
        stride=stride or widest.stride,
        size=widest.size,
        clips_per_video=clips_per_video,
        videos=videos,
        split=split,
        flow=flow,
        cache=cache if reads_flow(runner.inputs) else None,
    )
