"""Executors of other packages: loky's, and that of MPI. Both give the bits of a run in this process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import RemoteModel
from tests.helpers.fakes import NumpyRunner, changes, colours
from tests.helpers.sources import NumpySource, noise

ROOT = Path(__file__).resolve().parents[3]


def test_loky(tmp_path: Path):
    loky = pytest.importorskip("loky", reason="loky is not installed: its executor is not tested")
    clips = [noise(number) for number in range(60)]
    log = tmp_path / "opened"
    pool = loky.get_reusable_executor(max_workers=2)
    try:
        results = measure_biases(RemoteModel(NumpySource(log), pool), clips)
    finally:
        pool.shutdown()
    assert results == measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips)
    pids = log.read_text().split()
    assert len(pids) == len(set(pids)) <= 2


def test_mpi():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: MPIPoolExecutor is not tested")
    launcher = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("mpiexec is not installed: MPIPoolExecutor is not tested")
    words = [launcher, "-n", "3", sys.executable, "-m", "mpi4py.futures", "-m", "tests.workers.mpi_worker"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "the same: True\n"), done.stderr
