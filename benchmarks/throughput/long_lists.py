"""Measure how long a list of a million videos takes until the first shard is done, and the peak memory.

    python -m benchmarks.throughput.long_lists --write docs/speed.md

writes as many small videos, each of another size and content, and a manifest of them (8 GB, minutes), and analyzes the
first shard of the list in a process of its own, with the demo's model.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import pairwise
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.readme import main
from benchmarks.videos import write_videos
from sdmetrics.analysis.measure import prepare
from sdmetrics.analysis.resume import resumed
from sdmetrics.demo import demo_model
from sdmetrics.errors import Note
from sdmetrics.loading.open import open_clips, open_model

FOLDERS = 400
PADDING = 2**17
"""Bytes at most that are added to a video, most of them a hole in the file: sizes are equal only now and then."""


def write_list(folder: Path, entries: int) -> Path:
    """Write videos that differ in an unused box at their end, and a manifest."""
    (video,) = write_videos(folder / "one", 1, frames=16, size=48).glob("*.mp4")
    content, sizes = video.read_bytes(), random.Random(0)
    for number in range(FOLDERS):
        (folder / f"class {number}").mkdir()
    with (folder / "list.csv").open("w", encoding="utf-8") as manifest:
        manifest.write("path,label\n")
        for number in range(entries):
            name = f"class {number % FOLDERS}/video_{number:07d}.mp4"
            size = sizes.randrange(24, PADDING)
            with (folder / name).open("wb") as file:
                file.write(content + size.to_bytes(4) + b"free")
                file.seek(size - 8 - 16, 1)
                file.write(b"%016d" % number)
            manifest.write(f"{name},class {number % FOLDERS}\n")
    return folder / "list.csv"


def first_shard(path: Path) -> dict[str, float]:
    """Return the seconds of each step until the first shard is done, and the peak memory in MiB."""
    warnings.simplefilter("ignore", Note)
    with demo_model("motion") as model:
        runner = open_model(model, provider="cpu")
    times = [time.perf_counter()]
    clips = open_clips(path, runner)
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as out:
        prepared = prepare(runner, clips, out=out)
        times.append(time.perf_counter())
        _, shard = next(resumed(prepared.work, prepared.pieces, prepared.folder, progress=False))
        times.append(time.perf_counter())
    if not shard.used:
        raise ValueError(f"no clip was used: {shard.skipped}")
    listed, cut, done = (later - earlier for earlier, later in pairwise(times))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"clips": len(clips), "listed": listed, "cut": cut, "first shard": done, "MiB": peak}


def table(entries: int) -> str:
    """Return a row for a hundredth, a tenth and all of the entries as Markdown."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        path = write_list(Path(name), entries)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for count in (entries // 100, entries // 10, entries):
            path.write_text("".join(lines[: 1 + count]), encoding="utf-8")
            command = [sys.executable, "-m", "benchmarks.throughput.long_lists", "--list", str(path)]
            row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            rows.append(
                f"| {row['clips']:,} | {row['listed']:.1f} s | {row['cut']:.1f} s | {row['first shard']:.2f} s "
                f"| {row['MiB']:.0f} MiB |"
            )
    head = "| videos | listing | cutting into shards | first shard | peak memory |\n|---|---|---|---|---|"
    machine = describe_machine("numpy", "onnxruntime")
    return "\n".join([head, *rows, "", f"A manifest of distinct files, with the demo's model; {machine}."])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--list"]:
        print(json.dumps(first_shard(Path(sys.argv[2]))))
    else:
        main("long lists", __doc__, table, entries=1_000_000)
