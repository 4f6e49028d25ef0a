import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.workers.attached_loss_worker import CASES, SIMILARITIES

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process finds with the whole batch, and two with shares of it."""
    store = tmp_path_factory.mktemp("processes") / "store"
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.workers.attached_loss_worker", str(rank), str(world), str(store)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    printed = []
    for process in running:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        printed.append(json.loads(out.splitlines()[-1]))
    return printed


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one_does_on_the_joint_batch(found, case):
    whole, first, second = (run[case] for run in found)
    assert first == second  # bit for bit
    np.testing.assert_allclose(first["losses"], whole["losses"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(first["weights"], whole["weights"], rtol=0, atol=1e-12)
    assert np.ptp(whole["losses"]) > 0.01
    if case == SIMILARITIES:
        assert first["agreement"] is None
    else:
        assert whole["agreement"] is not None
        assert first["agreement"] == pytest.approx(whole["agreement"], abs=1e-12)
