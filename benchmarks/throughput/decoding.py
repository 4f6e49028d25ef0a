"""Measure how many clips a second are decoded and styled, against the number of threads.

    python -m benchmarks.throughput.decoding --write docs/speed.md

decodes H.264 videos of 256 × 256 pixels and renders the three views of each clip, 32 frames of 224 × 224. A model
needs this rate to be kept busy: its own clips a second, as `benchmarks.speed` prints them, over three views.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.moments import seconds
from benchmarks.readme import main
from benchmarks.videos import write_videos
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.prefetch import Unusable, rendered_ahead
from sdmetrics.clips.render import render
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.session import available_threads

INPUT = ModelInput("video", frames=32, stride=2)


def rates(videos: int, repeats: int) -> dict[int, float]:
    """Return rendered clips a second by number of threads: 1, 2, 4, … up to the cores; medians over the repeats."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_videos(Path(name), videos)
        clips = list_clips(ClipRequest(folder), ClipShape.read_by([INPUT]))
        counts = thread_counts(available_threads())
        times: dict[int, list[float]] = {threads: [] for threads in counts}
        _render_all(clips[:2], 1)
        for _ in range(repeats):
            for threads in counts:
                times[threads].append(seconds(lambda threads=threads: _render_all(clips, threads)))
    return {threads: len(clips) / median(values) for threads, values in times.items()}


def thread_counts(cores: int) -> list[int]:
    """Return 1, 2, 4, … and at last the number of cores."""
    return [*(2**i for i in range(cores.bit_length()) if 2**i < cores), cores]


def _render_all(clips: Sequence[Clip], threads: int) -> None:
    """Render the views of all clips."""
    with rendered_ahead(lambda clip: render(clip, 0, [INPUT]), clips, threads) as rendered:
        for clip, outcome in rendered:
            if isinstance(outcome, Unusable):
                raise ValueError(f"{clip.id}: {outcome.reason}")


def table(videos: int, repeats: int) -> str:
    """Return clips a second by threads as Markdown."""
    measured = rates(videos, repeats)
    rows = [f"| {threads} | {rate:.1f} | {rate / measured[1]:.2f}× |" for threads, rate in measured.items()]
    head = "| threads | rendered clips a second | over one thread |\n|---|---|---|"
    machine = describe_machine("av", "opencv-python-headless")
    return "\n".join([head, *rows, "", f"Clips of 32 frames of 224 × 224, three views each; {machine}."])


if __name__ == "__main__":
    main("decoding", __doc__, table, videos=24, repeats=3)
