"""Compare the whole analysis with bare forwards of the same views, and with the procedure of the authors' code."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.models.slowonly import INPUT, LAYERS, slowonly
from benchmarks.peers import Forward, Video, plain_forwards, reference_procedure
from benchmarks.videos import write_videos
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips import Clip
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.render import render
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.runners.onnxruntime import OnnxRunner

BATCH = 6


def pipeline_ratios(
    videos: int = 3, clips_per_video: int = 2, repeats: int = 3, eager: bool = True
) -> dict[str, float]:
    """Return the analysis's time over that of bare forwards, and the reference procedure's over the analysis's.

    All run on the same ONNX Runtime and the same clips, in turn: the analysis and the bare forwards `repeats` times,
    the reference procedure, which takes long, once. A ratio is the median over the repeats. The analysis decodes and
    styles the videos; the others start from rendered views, the time for which does not count.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = export(slowonly(), [INPUT], LAYERS, folder / "model.onnx")
        bare = export_bare(folder / "bare.onnx")
        runner = OnnxRunner(build_probe(model, folder / "probe.onnx"), provider="cpu")
        request = ClipRequest(write_videos(folder / "videos", videos), clips_per_video)
        clips = list_clips(request, ClipShape.read_by([INPUT]))
        views = np.concatenate([rendered_views(clip) for clip in clips])
        session, tapped = _session(bare), _session(model)
        contenders: dict[str, Callable[[], object]] = {
            "analysis": lambda: measure_biases(runner, clips, batch=BATCH, progress=False),
            "plain": lambda: plain_forwards(_layer(session, 0), views, BATCH),
            "reference": lambda: reference_procedure([_layer(tapped, i + 1) for i in range(len(LAYERS))], views, BATCH),
        }
        if eager:
            contenders["eager"] = lambda: reference_procedure(_eager_layers(), views, BATCH)
        contenders["plain"]()
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for repeat in range(repeats):
            for name, run in contenders.items():
                if name in ("analysis", "plain") or repeat == 0:
                    started = time.perf_counter()
                    run()
                    times[name].append(time.perf_counter() - started)
    ratio = {
        "analysis / plain forwards": median(a / b for a, b in zip(times["analysis"], times["plain"], strict=True)),
        "reference procedure / analysis": times["reference"][0] / median(times["analysis"]),
    }
    if eager:
        ratio["reference procedure in eager PyTorch / analysis"] = times["eager"][0] / median(times["analysis"])
    return ratio


def export_bare(path: Path) -> Path:
    """Export the network as without this package: no layer is an output."""
    example = torch.zeros(2, 3, INPUT.frames, *INPUT.size)
    batch = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        slowonly(), (example,), path, dynamo=True, input_names=[INPUT.name], dynamic_shapes=({0: batch},), verbose=False
    )
    return path


def rendered_views(clip: Clip) -> Video:
    """Return a clip's three views as the model reads them."""
    views, frames = render(clip, 0, [INPUT])
    shown = np.stack([f["rgb"][v.orders[INPUT.name]] for v, f in zip(views, frames, strict=True)])
    scaled = (shown / np.float32(255) - np.float32(INPUT.mean)) / np.float32(INPUT.std)
    return np.ascontiguousarray(scaled.transpose(0, 4, 1, 2, 3))


def _session(model: Path) -> ort.InferenceSession:
    """Open a plain session with as many threads as the runner uses."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _layer(session: ort.InferenceSession, output: int) -> Forward:
    """Return a function that runs a session for one of its outputs."""
    name = session.get_outputs()[output].name
    return lambda video: session.run([name], {INPUT.name: video})[0]


def _eager_layers() -> list[Forward]:
    """Return, per layer, a function that runs the module and hooks that layer."""
    module = slowonly()

    def hooked(layer: str) -> Forward:
        def forward(video: Video) -> np.ndarray:
            kept = []
            hook = module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.append(out))
            with torch.inference_mode():
                module(torch.from_numpy(video))
            hook.remove()
            return kept[0].numpy()

        return forward

    return [hooked(layer) for layer in LAYERS]
