"""Export networks, and run some live, in a process of their own: Keras has one backend per process.

python -m benchmarks.real.exporting FOLDER NAME...
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import sdmetrics as sd
from benchmarks.real.networks import NETWORKS
from benchmarks.real.videos import list_videos

LIVE_SETS = ("clips",)
"""The videos that networks are run on live, which is slower."""


def main(folder: Path, names: list[str]) -> None:
    """Write `NAME.onnx`, or into `NAME.txt` why there is none; for networks that also run live, the run `NAME-live`."""
    for network in (network for network in NETWORKS if network.name in names):
        module = importlib.import_module(f"benchmarks.real.{network.module}")
        try:
            module.export_network(network, folder / f"{network.name}.onnx")
        except sd.InputError as error:
            (folder / f"{network.name}.txt").write_text(str(error), encoding="utf-8")
        if network.live:
            runner = module.live_runner(network)
            clips = sd.open_clips(list_videos(folder, LIVE_SETS), runner)
            sd.analyze(runner, clips, out=folder / f"{network.name}-live", progress=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
