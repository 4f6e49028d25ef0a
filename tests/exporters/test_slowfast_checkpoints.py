"""SlowFast's checkpoints: its names are translated, and the answer stays the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.load_state import build_fitted
from tests.helpers import slowfast_code
from tests.helpers.slowfast_pairs import CLASSES, PAIRS, Pair, record, weights

BY_NAME = {pair.name: pair for pair in PAIRS}
SLOW = "mvit_v2_s_16x4"

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", [name for name in slowfast_code.RECORDED if name != SLOW])
def test_the_recorded_weights_fit_and_give_the_recorded_answer(name: str) -> None:
    check_record(name)


@pytest.mark.all
def test_the_recorded_weights_of_the_largest_fit_and_give_the_recorded_answer() -> None:
    check_record(SLOW)


def check_record(name: str) -> None:
    pair, recorded = BY_NAME[name], record(name)
    module = build_fitted(replace(pair.row, classes=CLASSES), weights(recorded["shapes"]), "record")
    with torch.no_grad():
        ours = module(*pair.clips())
    theirs = torch.tensor(recorded["logits"])
    assert theirs.std() > 0.01 * theirs.abs().max()
    assert not torch.allclose(theirs[0], theirs[1], rtol=1e-3)
    assert relative_difference(ours, theirs) < 1e-4


@pytest.mark.skipif(not slowfast_code.available(), reason="no SlowFast on the path: see tests/helpers/slowfast_code.py")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_file_that_slowfast_saved_gives_its_own_logits(pair: Pair, tmp_path: Path) -> None:
    config = slowfast_code.configuration(pair)
    theirs = slowfast_code.build(pair, config)
    ours, _ = open_checkpoint(pair.row, slowfast_code.save(theirs, config, tmp_path))
    clips = pair.clips()
    with torch.no_grad():
        said = ours(*clips)
    # What SlowFast trains on Something-Something reads BGR; our module reads RGB.
    fed = [clip.flip(1) for clip in clips] if config.DATA.REVERSE_INPUT_CHANNEL else clips
    assert relative_difference(said, slowfast_code.logits(theirs, fed)) < 1e-4
