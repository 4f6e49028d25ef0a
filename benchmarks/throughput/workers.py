"""Measure how much faster two workers of a Dask cluster are than one, each with one thread for the model.

Beside it stands what the machine allows: two processes that share nothing, with half of the same shards each, over one
with all. python -m benchmarks.throughput.workers --write docs/cluster.md
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.models.slowonly import INPUT, LAYERS, slowonly
from benchmarks.readme import main
from benchmarks.videos import write_videos
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.analysis.shards import slices
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.loading.dask_cluster import dask_client
from sdmetrics.loading.model_source import ModelSource
from sdmetrics.runners.protocols import Runner

AIM = 1.85


def halves(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Return the clips of each half of the shards; groups stay together, so that the shards are the same."""
    groups: dict[int, list[Clip]] = {}
    for piece in slices(clips):
        groups.setdefault(piece.group, []).extend(piece.clips)
    found: list[list[Clip]] = [[], []]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(found, key=len).extend(group)
    return found


def dask_seconds(source: ModelSource, clips: Sequence[Clip], workers: int) -> float:
    """Return the time of a cluster, once each of its workers has opened the model."""
    with dask_client(f"local:{workers}") as client:
        model = RemoteModel(source, client)
        first = [clip for piece in slices(clips)[: 2 * workers] for clip in piece.clips]
        measure_biases(model, first, progress=False)
        return _seconds(lambda: measure_biases(model, clips, progress=False))


def alone_seconds(source: ModelSource, shares: Sequence[Sequence[Clip]]) -> float:
    """Return the time until the last of some processes has measured its share, once each has opened the model."""
    with ExitStack() as stack:
        pools = [stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for _ in shares]

        def run(clips: Sequence[Sequence[Clip]]) -> None:
            for future in [pool.submit(_measure, source, own) for pool, own in zip(pools, clips, strict=True)]:
                future.result()

        run([own[:2] for own in shares])
        return _seconds(lambda: run(shares))


@cache
def _opened(source: ModelSource) -> Runner:
    """Return the model, opened once in this process."""
    return source.open()


def _measure(source: ModelSource, clips: Sequence[Clip]) -> None:
    """Measure clips in this process."""
    measure_biases(_opened(source), clips, progress=False)


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(videos: int, repeats: int) -> str:
    """Return the times and ratios as a Markdown table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = export(slowonly(), [INPUT], LAYERS, folder / "model.onnx")
        source = ModelSource(build_probe(model, folder / "probe.onnx"), provider="cpu", threads=1)
        clips = list_clips(ClipRequest(write_videos(folder / "videos", videos), 1), ClipShape.read_by([INPUT]))
        times: dict[str, list[tuple[float, float]]] = {"workers of Dask": [], "processes that share nothing": []}
        for _ in range(repeats):
            dask, alone = times.values()
            dask.append((dask_seconds(source, clips, 1), dask_seconds(source, clips, 2)))
            alone.append((alone_seconds(source, [clips]), alone_seconds(source, halves(clips))))
    rows = []
    for what, pairs in times.items():
        one, two = (median(seconds) for seconds in zip(*pairs, strict=True))
        ratios = [first / second for first, second in pairs]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        rows.append(f"| {what} | {one:.1f} s | {two:.1f} s | {median(ratios):.2f}× ({listed}) |")
    return "\n".join(
        [
            "| what | one | two | two over one |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Medians; the aim of Dask's is {AIM}×. SlowOnly-R50's size, {videos} videos, one thread each; "
            f"{describe_machine('distributed', 'onnxruntime')}.",
        ]
    )


if __name__ == "__main__":
    main("workers", __doc__, table, videos=16, repeats=3)
