import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.workers.static_dropout_worker import ORDERS, STEPS

ROOT = Path(__file__).resolve().parents[3]


def worker(rank, world, store):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.workers.static_dropout_worker", str(rank), str(world), str(store)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process finds with the whole batch, and two with 7 and 3 clips of it."""
    store = tmp_path_factory.mktemp("processes") / "store"
    running = [worker(0, 1, store), worker(0, 2, store), worker(1, 2, store)]
    printed = []
    for process in running:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        printed.append(json.loads(out.splitlines()[-1]))
    return printed


@pytest.mark.parametrize("case", [*ORDERS, "not finite", "one clip"])
def test_two_processes_find_what_one_finds_with_the_whole_batch(found, case):
    whole, first, second = (run[case] for run in found)
    assert first == second  # bit for bit
    assert whole["estimates"] == first["estimates"] == 2
    assert np.ptp(whole["probabilities"]) > 0.01
    for name in ("scores", "probabilities"):
        np.testing.assert_allclose(first[name], whole[name], rtol=0, atol=1e-12)
    np.testing.assert_allclose(first["weights"], whole["weights"], atol=1e-12)
    assert whole["forwards"] == first["forwards"] == STEPS


def test_the_order_of_wrapping_changes_nothing(found):
    for run in found:
        assert all(run[order] == run[ORDERS[0]] for order in ORDERS)
        assert run["not finite"]["scores"] != run[ORDERS[0]]["scores"]
