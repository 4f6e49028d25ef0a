"""SlowFast's checkpoints: its names are translated, and the answer stays the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.load_state import build_fitted, fit
from sdmetrics.probes.feeds import scaled
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
    module, _ = build_fitted(replace(pair.row, classes=CLASSES), weights(recorded["shapes"]), "record")
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
    assert relative_difference(said, slowfast_code.logits(theirs, clips)) < 1e-4


# --- colours: columns of red, green and blue, as SlowFast's own functions give them to a network


def picture() -> NDArray[np.uint8]:
    return np.repeat(np.eye(3, dtype=np.uint8)[None] * 255, 2, axis=0)


FED = ((2.4444445, -2.0, -2.0), (-2.0, 2.4444445, -2.0), (-2.0, -2.0, 2.4444445))
"""The channels by the column: under REVERSE_INPUT_CHANNEL as for Something-Something, the first channel sees red."""


def test_a_network_for_something_something_reads_red_first_as_slowfast_feeds_it() -> None:
    clip = replace(BY_NAME["slowfast_r50_16x8"].row.inputs[1], frames=1, size=(2, 3))
    fed = scaled(picture()[None, None], clip)
    np.testing.assert_allclose(fed[0, 0, 0].T, FED, rtol=1e-6)


@pytest.mark.skipif(not slowfast_code.available(), reason="no SlowFast on the path: see tests/helpers/slowfast_code.py")
def test_slowfasts_own_functions_give_these_numbers(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "frame.png"), picture()[..., ::-1])
    slow, fast = slowfast_code.fed(BY_NAME["slowfast_r50_16x8"], [tmp_path / "frame.png"] * 8)
    for pathway in (slow, fast):
        np.testing.assert_allclose(pathway[:, 0, 0], FED, rtol=1e-6)


# --- torchvision's MViT of the first version, by the names of both


def small_mvit() -> nn.Module:
    """MViT-B for clips of the recorded size."""
    from torchvision.models.video import mvit

    module = mvit.mvit_v1_b(num_classes=CLASSES)
    module.pos_encoding = mvit.PositionalEncoding(96, (16, 16), 2, rel_pos_embed=False)
    return module.eval()


def test_slowfasts_weights_of_mvit_fit_torchvisions_and_give_the_recorded_answer() -> None:
    recorded, module = record("mvit_b_16x4"), small_mvit()
    fit(module, weights(recorded["shapes"]), "record")
    with torch.no_grad():
        said = module(*BY_NAME["mvit_b_16x4"].clips())
    assert relative_difference(said, torch.tensor(recorded["logits"])) < 1e-4


def test_pytorchvideos_weights_of_mvit_fit_torchvisions_and_give_its_own_answer() -> None:
    hub = pytest.importorskip("pytorchvideo.models.hub.vision_transformers")
    theirs, ours = hub.mvit_base_16x4(spatial_size=64, temporal_size=4, head_num_classes=CLASSES).eval(), small_mvit()
    theirs.load_state_dict(weights({name: tensor.shape for name, tensor in theirs.state_dict().items()}))
    fit(ours, theirs.state_dict(), "MVIT_B_16x4.pyth")
    with torch.no_grad():
        clip = BY_NAME["mvit_b_16x4"].clips()
        assert relative_difference(ours(*clip), theirs(*clip)) < 1e-4
