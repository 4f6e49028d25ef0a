"""Measure how much faster two workers of a Dask cluster are than one, each with one thread for the model.

python -m benchmarks.throughput.workers
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.models.slowonly import INPUT, LAYERS, slowonly
from benchmarks.readme import main
from benchmarks.videos import write_videos
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.loading.dask_cluster import dask_client
from sdmetrics.loading.model_source import ModelSource


def workers_ratios(videos: int, repeats: int) -> list[float]:
    """Return the time of one worker over that of two, by repeat, after a first round in which they open the model."""
    with tempfile.TemporaryDirectory() as name, dask_client("local:1") as one, dask_client("local:2") as two:
        folder = Path(name)
        model = export(slowonly(), [INPUT], LAYERS, folder / "model.onnx")
        source = ModelSource(build_probe(model, folder / "probe.onnx"), provider="cpu", threads=1)
        clips = list_clips(ClipRequest(write_videos(folder / "videos", videos), 1), ClipShape.read_by([INPUT]))
        clusters = [RemoteModel(source, client) for client in (one, two)]
        ratios = []
        for repeat in range(repeats + 1):
            seconds = []
            for runner in clusters:
                started = time.perf_counter()
                measure_biases(runner, clips, progress=False)
                seconds.append(time.perf_counter() - started)
            ratios += [seconds[0] / seconds[1]] if repeat else []
    return ratios


def table(videos: int, repeats: int) -> str:
    """Return the ratio as a line of Markdown."""
    ratios = workers_ratios(videos, repeats)
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    aim = f"aim ≥ 1.85×; {listed}"
    return f"Two workers over one: {median(ratios):.2f}× ({aim}); {videos} videos, {describe_machine('distributed')}."


if __name__ == "__main__":
    main("workers", __doc__, table, videos=16, repeats=3)
