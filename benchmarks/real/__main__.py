"""Measure really trained networks on real videos, and write docs/real_models.md: `make real`.

    python -m benchmarks.real [--write docs/real_models.md] [--only NAME ...]

Networks and videos that are absent are left out, with the reason. What is made is in build/real: the exported models,
a run for each network, `report.html` and a page for each comparison. A run that was interrupted is resumed; delete
build/real to begin again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import sdmetrics as sd
from benchmarks.readme import add_write_option, write_between
from benchmarks.real.exporting import LIVE_SETS
from benchmarks.real.networks import NETWORKS, Network
from benchmarks.real.page import page
from benchmarks.real.tables import Measured
from benchmarks.real.videos import SETS, list_videos, missing_videos
from sdmetrics.analysis.results import Results
from sdmetrics.probes.metadata import read_metadata

FOLDER = Path("build/real")


def main() -> None:
    """Export, run and compare all networks that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="Names of networks; default: all.")
    add_write_option(parser, "real")
    arguments = parser.parse_args()
    reason = missing_videos()
    if reason:
        print(f"nothing is measured: {reason}")
        return
    chosen = [network for network in NETWORKS if not arguments.only or network.name in arguments.only]
    absent = {network.title: why for network in chosen if (why := network.missing())}
    there = [network for network in chosen if network.title not in absent]
    FOLDER.mkdir(parents=True, exist_ok=True)
    _export([network for network in there if not _exported(network)])
    absent |= {network.title: why for network in there if (why := _why_not_exported(network))}
    there = [network for network in there if network.title not in absent]
    measured = [_measure(network) for network in there]
    live = {network.title: _live(network) for network in there if network.live}
    text = page(measured, live, absent, FOLDER)
    print(text)
    if arguments.write:
        write_between(arguments.write, "real", text)


def _export(networks: Sequence[Network]) -> None:
    """Export networks, those of each backend in one process."""
    for (_, backend), group in groupby(networks, lambda network: (network.module, network.backend)):
        names = [network.name for network in group]
        started = time.perf_counter()
        # One library's threads are enough, and a package's warnings are not about these networks.
        environment = {**os.environ, "KERAS_BACKEND": backend or "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "benchmarks.real.exporting", str(FOLDER), *names]
        subprocess.run(command, env=environment, check=True)
        _say(f"exported {', '.join(names)}", started)


def _exported(network: Network) -> bool:
    """Return whether a network's export, and its live run if it has one, are finished, or it cannot be exported."""
    if _why_not_exported(network):
        return True
    live = FOLDER / f"{network.name}-live" / "results.json"
    return (FOLDER / f"{network.name}.onnx").exists() and (live.exists() or not network.live)


def _why_not_exported(network: Network) -> str | None:
    """Return why a network could not be exported, if it could not."""
    reason = FOLDER / f"{network.name}.txt"
    return reason.read_text(encoding="utf-8") if reason.exists() else None


def _measure(network: Network) -> Measured:
    """Analyze a network on all videos."""
    started = time.perf_counter()
    results = _run(network, network.name, tuple(SETS))
    metadata = read_metadata(FOLDER / f"{network.name}.onnx")
    assert metadata is not None
    assert metadata.export_error is not None
    _say(f"measured {network.name}", started)
    return Measured(network, metadata.framework, metadata.export_error, results)


def _live(network: Network) -> tuple[Results, Results]:
    """Return the results of a network that ran as it is, and those of its export on the same clips."""
    return Results.load(FOLDER / f"{network.name}-live"), _run(network, f"{network.name}-exported", LIVE_SETS)


def _run(network: Network, name: str, sets: tuple[str, ...]) -> Results:
    runner = sd.open_model(FOLDER / f"{network.name}.onnx", provider="cpu")
    clips = sd.open_clips(list_videos(FOLDER, sets), runner)
    return sd.analyze(runner, clips, out=FOLDER / name, progress=False)


def _say(what: str, started: float) -> None:
    print(f"{what}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
