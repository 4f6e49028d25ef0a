"""Measure what a run takes that also keeps its responses, over one that does not.

    python -m benchmarks.throughput.responses

The model is a 3-D ResNet-50 with random weights and all of its stages, fed with small frames: a fast model with many
units, so that what is stored weighs much.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.models.slowonly import INPUT, LAYERS, slowonly
from benchmarks.moments import seconds
from sdmetrics.analysis.measure import prepare
from sdmetrics.analysis.measurement import Measurement
from sdmetrics.analysis.responses import Kept, beside
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.runners.onnxruntime import OnnxRunner

SIDE = 64


def responses_ratio(clips: int = 60, shards: int = 8, repeats: int = 5) -> float:
    """Return the time that shards take whose responses are kept, over that of shards whose responses are not.

    Rendering, which is the same for both, does not count. Each shard is measured and stored `repeats` times with and as
    often without, and the fastest counts, so that what else runs on the machine matters little. What is kept is also
    read back, as at the end of a run.
    """
    fed = replace(INPUT, size=(SIDE, SIDE))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = export(slowonly(), [fed], LAYERS, folder / "model.onnx")
        runner = OnnxRunner(build_probe(model, folder / "probe.onnx"), provider="cpu")
        listed = list_clips(ClipRequest(f"world:{clips}"), ClipShape.read_by([fed]))
        prepared = prepare(runner, listed, out=folder / "run", keep_responses=True)
        assert prepared.folder is not None
        total = {True: 0.0, False: 0.0}
        for piece in prepared.pieces[:shards]:
            rendered = [(clip, prepared.work.render(clip)) for clip in piece.clips]
            path = prepared.folder / piece.file_name

            def measure(work: Measurement, path: Path = path, rendered: list = rendered) -> None:
                shard = work.make(iter(rendered), len(rendered), lambda _: None)
                work.save(shard, path)
                if work.keep:
                    Kept.load(beside(path), work.identity, runner.layers, shard.ids)

            for keep in total:
                work = replace(prepared.work, keep=keep)
                total[keep] += min(seconds(lambda work=work: measure(work)) for _ in range(repeats))
    return total[True] / total[False]


if __name__ == "__main__":
    print(f"a run that keeps its responses: {responses_ratio():.3f} of the time of one that does not")
