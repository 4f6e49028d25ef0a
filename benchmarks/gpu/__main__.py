"""Check everything that needs an NVIDIA card, in at most six minutes and without a network: `make check-gpu`.

Each step is a process with a budget of time of its own, and what it found until then counts. The tables of CUDA in
docs/parity.md and docs/speed.md are written as results come. The exit code is 1 if the card's numbers are not those of
the CPU.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.gpu.records import Record, left_out, read_records
from benchmarks.gpu.tables import write_tables
from benchmarks.machine import graphics_card

TOTAL = 345
"""Seconds for all steps."""

STEPS = {
    "torch-parity": (75, ("torch", "onnx", "onnxruntime", "numba")),
    "training": (75, ("torch", "pytest", "hypothesis", "onnx", "onnxruntime", "numba")),
    "onnx-parity": (60, ("torch", "onnx", "onnxruntime", "numba")),
    "slowfast": (70, ("torch", "numba", "cv2")),
    "videomae": (70, ("torch", "numba", "cv2")),
    "speed": (60, ("torch", "onnx", "onnxruntime", "onnxscript", "numba")),
}
"""Seconds of each step at most, and the packages that it uses."""


def run_step(name: str, seconds: float, needs: Sequence[str], command: Sequence[str] = ()) -> list[Record]:
    """Run a step in a process of its own, and return what it found until it ended or its time was over."""
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        return [left_out(name, f"{', '.join(missing)} not installed")]
    if seconds < 5:
        return [left_out(name, "no time is left")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records"
        file.touch()
        started = [*(command or (sys.executable, "-m", "benchmarks.gpu.steps")), name, str(file)]
        process = subprocess.Popen(started, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # With the processes in which torch compiles.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return [*read_records(file), left_out(name, f"the rest: {seconds:.0f} seconds were over")]
        records = read_records(file)
        if process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            records.append(left_out(name, f"the rest: {lines[-1][:300]}"))
        return records


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps, print and write what they find, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder with parity.md and speed.md")
    docs = parser.parse_args(arguments).docs
    card = graphics_card()
    if card == "no GPU":
        print("check-gpu: there is no NVIDIA card here (nvidia-smi shows none), so nothing was checked")
        return 0
    print(f"check-gpu: {card}", flush=True)
    end = time.monotonic() + TOTAL
    records: list[Record] = []
    for name, (seconds, needs) in STEPS.items():
        found = run_step(name, min(seconds, end - time.monotonic()), needs)
        for record in found:
            print(f"{name}: {record['text']}", flush=True)
        records += found
        write_tables(records, docs)
    breaches = [record for record in records if record["kind"] == "breach"]
    print(f"check-gpu: {len(breaches)} breach(es) of parity")
    return int(bool(breaches))


if __name__ == "__main__":
    sys.exit(main())
