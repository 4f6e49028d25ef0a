"""The masks of a run do in the probe what zeroed channels do in the torch module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.plan import plan_removals, stored_scores
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.clips.render import feeds, plain
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_model
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.removable import CLIPS
from tests.helpers.torch_models import CASES, exported, hooked, probed


def made_results(identity, layers, units):
    rng = np.random.default_rng(1)
    rows = [
        {"layer": layer, "unit": unit, "label": "joint", "dynamic": rng.uniform(), "static": rng.uniform()}
        for layer in layers
        for unit in range(units[layer])
    ]
    named = [{"name": layer, "units": units[layer]} for layer in layers]
    return Results(dict(identity), 0, "pearson", 0.5, {"used": 9, "looped": 0, "skipped": []}, named, rows)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("case", "layers"),
    [
        ("resnet", ("stem", "layer1", "layer2", "layer4")),
        ("transformer", ("blocks.0", "norm")),
        ("time-major", ("act",)),
    ],
)
class TestTorch:
    @pytest.fixture(autouse=True)
    def one_thread(self):
        """Two threads that wait for each other on a busy machine take a hundred times as long."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.fixture
    def some(self, case):
        (model_input,) = CASES[case].inputs
        rng = np.random.default_rng(0)
        shape = (model_input.frames, *model_input.size, 3)
        frames = [rng.integers(0, 256, shape, np.uint8) for _ in range(6)]
        return [Clip(f"c{i}", lambda i=i: frames[i], label=str(i % 5)) for i in range(6)]

    def test_the_masks_of_a_run_do_what_zeroed_channels_do(self, case, layers, some):
        runner = OnnxRunner(probed(case), provider="cpu", threads=1)
        units = {layer.name: layer.units for layer in runner.metadata.layers}
        results = made_results(runner.identity, layers, units)
        ranked = {
            layer: stored_scores((u for u in results.units if u["layer"] == layer), 0.5, "pearson") for layer in layers
        }
        plan = plan_removals(ranked, factors=["dynamic", "static"], fractions=[0.3, 1], repeats=2)
        fed = feeds(*zip(*(plain(clip, runner.inputs) for clip in some), strict=True))
        module = CASES[case].make()
        arrays = {name: torch.from_numpy(array) for name, array in fed.items()}
        video = TorchRunner(module, CASES[case].inputs, list(layers))._prepare(arrays, CASES[case].inputs[0]).numpy()
        axes = {layer.name: layer.channel_axis for layer in runner.metadata.layers}
        whole = outputs_of(hooked(module, [], [video])[0])
        for masks in plan.masks[1:]:
            ((layer, mask),) = masks.items()
            expected = outputs_of(zeroed(module, layer, np.flatnonzero(mask == 0), axes[layer], video))
            (masked,) = runner.run(fed, masks).values()
            np.testing.assert_allclose(masked, expected, atol=1e-5)
            assert mask.any() or np.abs(expected - whole).max() > 1e-3

    def test_both_runners_give_one_ablation(self, case, layers, some):
        onnx = OnnxRunner(probed(case), provider="cpu", threads=1)
        hooks = TorchRunner(CASES[case].make(), CASES[case].inputs, list(layers))

        def first(outputs, _clips):
            return next(iter(outputs.values()))[:, 0]

        units = {layer.name: layer.units for layer in onnx.metadata.layers}
        one, other = (
            ablate(
                runner,
                some,
                made_results(runner.identity, layers, units),
                score=first,
                layers=layers,
                fractions=[0.4],
                repeats=1,
            )
            for runner in (onnx, hooks)
        )
        assert len(one.rows) == len(layers) * 8
        np.testing.assert_allclose([r["mean"] for r in one.rows], [r["mean"] for r in other.rows], atol=1e-5)


def zeroed(module, layer, channels, axis, video):
    """Return what a module gives when a part's channels are set to 0 by hand."""

    def hook(_module, _inputs, output):
        gone = output.clone()
        gone.index_fill_(axis, torch.as_tensor(channels), 0.0)
        return gone

    handle = dict(module.named_modules())[layer].register_forward_hook(hook)
    module.eval()
    with torch.no_grad():
        own = module(torch.from_numpy(video))
    handle.remove()
    return own


def outputs_of(own):
    own = next(iter(own.values())) if isinstance(own, dict) else own
    return own.numpy()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_real_probe_without_masks_is_an_error(tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(exported("framewise"))
    runner = open_model(tmp_path / "model.onnx", provider="cpu", threads=1)
    results = made_results(runner.identity, ["conv"], {"conv": 8})
    with pytest.raises(InputError, match="has no masks"):
        ablate(runner, CLIPS, results)
    masked = open_model(tmp_path / "model.onnx", provider="cpu", threads=1, masks=True)
    assert masked.metadata.masks
