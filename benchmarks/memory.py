"""Measure the peak memory of the analysis of the demo's model with 50 and 500 clips, each in its own process."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.demo import demo_model
from sdmetrics.loading.open import open_model


def memory_ratio(few: int = 50, many: int = 500) -> float:
    """Return the peak memory with `many` clips over that with `few`."""
    return _peak(many) / _peak(few)


def _peak(clips: int) -> int:
    """Return the peak memory, in kilobytes, of a process that analyzes `clips` clips."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", str(clips)], capture_output=True, text=True, check=True
    )
    return int(process.stdout.split()[-1])


if __name__ == "__main__":
    with demo_model("motion") as model, tempfile.TemporaryDirectory() as out:
        measure_biases(
            open_model(model, provider="cpu"),
            world_clips(int(sys.argv[1])),
            out=out,
            batch=48,
            progress=False,
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
