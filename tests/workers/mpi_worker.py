"""Measure clips on the workers of MPI and in this process, and print whether the results are the same."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import RemoteModel
from tests.helpers.fakes import NumpyRunner, changes, colours
from tests.helpers.sources import NumpySource, noise

if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor

    clips = [noise(number) for number in range(60)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "opened")
        with MPIPoolExecutor() as pool:
            results = measure_biases(RemoteModel(NumpySource(log), pool), clips, progress=False)
        elsewhere = str(os.getpid()) not in log.read_text().split()
    here = measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips, progress=False)
    print("the same:", results == here and elsewhere)
