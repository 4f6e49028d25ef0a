"""BiasTracker: the numbers of an export, and no trace in the training."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.clips.generated.world import MOTIONS, world_batch, world_clips
from sdmetrics.clips.styles.built_in import ink, oil
from sdmetrics.comparison.compare import layer_values
from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch import BiasTracker
from sdmetrics.torch.training.wrappers import unwrap
from tests.helpers.fakes import broken_clip, noise_clip

VIDEO = ModelInput("video", frames=4, stride=1, size=(16, 16))
CLIPS = world_clips(24, frames=4, size=16, seed=5)


class Net(nn.Module):
    """All that a measurement could disturb: BatchNorm, Dropout, a part that was frozen, numbers drawn at all times."""

    def __init__(self, classes: int = len(MOTIONS)) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.BatchNorm3d(6), nn.ReLU(inplace=True))
        self.frozen = nn.BatchNorm3d(6)
        self.stage = nn.Sequential(nn.Conv3d(6, 8, 3, (1, 2, 2), 1), nn.BatchNorm3d(8), nn.ReLU(inplace=True))
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, classes)
        self.frozen.eval()

    def forward(self, video):
        x = self.stage(self.frozen(self.stem(video)))
        return self.fc(self.drop(x.mean((2, 3, 4))))


class Restless(Net):
    """Draws random numbers in evaluation too, and counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, video):
        self.calls += 1
        np.random.random()  # noqa: NPY002
        random.random()
        return super().forward(video) + 0.1 * torch.randn(())


def made(kind=Net):
    torch.manual_seed(0)
    return kind()


def tracked(model, **arguments):
    return BiasTracker(model, [VIDEO], ["stem", "stage"], CLIPS, **{"batch": 36, **arguments})


def trained(model, steps=6, rate=0.05, after=lambda: None):
    """Train on the world's motions; return the losses, bit for bit."""
    torch.manual_seed(1)
    np.random.seed(0)  # noqa: NPY002
    video, labels, _ = world_batch(48, frames=4, size=16, seed=1)
    data = (torch.from_numpy(video).float().permute(0, 4, 1, 2, 3) / 255 - 0.45) / 0.225
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses = []
    for step in range(steps):
        chosen = torch.randint(48, (8,)) if step % 2 else torch.from_numpy(np.random.randint(0, 48, 8))  # noqa: NPY002
        loss = functional.cross_entropy(model(data[chosen]), torch.from_numpy(labels)[chosen])
        optimiser.zero_grad()
        loss.backward()
        after()
        optimiser.step()
        losses.append(loss.item())
    return losses


def state(model):
    """All that a measurement must leave as it was."""
    return {
        "modes": [part.training for part in model.modules()],
        "tensors": [value.clone() for value in model.state_dict().values()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1:3],  # noqa: NPY002
        "python": random.getstate(),
        "grad": torch.is_grad_enabled(),
        "hooks": [len(part._forward_hooks) for part in model.modules()],
    }


def alike(one, other):
    if isinstance(one, torch.Tensor | np.ndarray):
        return bool((one == other).all())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


@pytest.mark.parametrize("kind", [Net, Restless])
def test_a_training_goes_on_as_if_it_had_not_been_measured(kind):
    plain = made(kind)
    losses = trained(plain)
    model = made(kind)
    tracker = tracked(model, every=2)

    def measured():
        before = state(model)
        found = tracker.step()
        assert (found is None) == bool(tracker.count % 2)
        assert all(alike(before[key], value) for key, value in state(model).items())

    assert trained(model, after=measured) == losses
    assert list(tracker.results) == [2, 4, 6]
    assert alike(list(plain.state_dict().values()), list(model.state_dict().values()))
    assert model.training
    assert not model.frozen.training


def test_a_measurement_is_an_analysis_of_the_export(tmp_path):
    model = made()
    trained(model, 3)
    results = tracked(model).measure(3)
    path = export(model, [VIDEO], ["stem", "stage"], tmp_path / "model.onnx")
    runner = OnnxRunner(build_probe(path, tmp_path / "probe.onnx"), provider="cpu")
    expected = measure_biases(runner, CLIPS, batch=36, progress=False)
    for found, row in zip(results.layers, expected.layers, strict=True):
        assert found["name"] == row["name"]
        for factor in ("dynamic", "static"):
            assert found["percent"][factor] == pytest.approx(row["percent"][factor], abs=1e-4)
            assert found["ci95"]["percent"][factor] == pytest.approx(row["ci95"]["percent"][factor], abs=1e-3)


@pytest.mark.parametrize("cache", [0, 2 << 30])
@pytest.mark.parametrize("styles", [None, {"ink": ink, "oil": oil}])
def test_kept_clips_give_the_bits_and_the_settings_of_the_clips_themselves(cache, styles):
    model = made()
    clips = [*CLIPS, broken_clip()]
    tracker = BiasTracker(model, [VIDEO], ["stage"], clips, batch=36, seed=3, styles=styles, cache=cache)
    expected = measure_biases(
        TorchRunner(model, [VIDEO], ["stage"]), clips, batch=36, seed=3, styles=styles, progress=False
    )
    for step in (0, 1):
        found = tracker.measure(step)
        assert found.layers == expected.layers
        assert found.units == expected.units
        assert found.clips == expected.clips
        assert found.model == {**expected.model, "step": step}
        assert found.settings == expected.settings


def test_clips_are_decoded_and_styled_once_and_those_that_come_in_styles_too():
    calls = {"plain": 0, "styled": 0, "style": 0}

    def counted(name, make):
        def call(*given):
            calls[name] += 1
            return make(*given)

        return call

    def styled(seed):
        return {name: counted("styled", noise_clip(seed + place, 4).load) for place, name in enumerate("abc")}

    plain = [Clip(c.id, counted("plain", c.load)) for c in CLIPS]
    tracker = BiasTracker(
        made(), [VIDEO], ["stage"], plain, styles={n: counted("style", s) for n, s in (("i", ink), ("o", oil))}
    )
    given = BiasTracker(
        made(), [VIDEO], ["stage"], [Clip(f"s{k}", CLIPS[k].load, styled=styled(10 * k)) for k in range(8)]
    )
    for step in range(3):
        tracker.measure(step)
        given.measure(step)
    assert calls["plain"] == len(CLIPS)
    assert calls["styled"] == 2 * 8
    assert calls["style"] == 2 * len(CLIPS) + 2  # each is tried on noise first
    assert tracker.results[0].layers == tracker.results[2].layers


def test_training_changes_the_numbers_and_standing_still_does_not():
    """Known answer: weights that do not move give the same bits; weights that do give others."""
    for rate in (0.0, 0.05):
        model = made()
        for part in model.modules():
            if isinstance(part, nn.BatchNorm3d):
                part.momentum = 0.0  # running statistics are no weights, and would move
        tracker = tracked(model)
        tracker.measure(0)
        trained(model, 4, rate, after=tracker.step)
        percents = {step: [row["percent"] for row in run.layers] for step, run in tracker.results.items()}
        assert list(percents) == [0, 1, 2, 3, 4]
        assert all(percents[step] == percents[0] for step in (1, 2, 3, 4)) == (rate == 0)


def test_history_is_rows_for_a_data_frame():
    tracker = tracked(made())
    tracker.measure(7)
    tracker.measure(0)
    rows = tracker.history
    assert [(row["step"], row["layer"]) for row in rows] == [(0, "stem"), (0, "stage"), (7, "stem"), (7, "stage")]
    assert rows[3] == {"step": 7, "layer": "stage", **layer_values(tracker.results[7].layer("stage"))}
    assert rows[3]["percent_static_low"] < rows[3]["percent_static"] < rows[3]["percent_static_high"]
    assert sum(rows[3][f"units_{name}"] for name in ("dynamic", "static", "joint", "residual")) == 8


def test_two_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.slow, self.fast = nn.Conv3d(3, 5, 3, 1, 1), nn.Conv3d(3, 4, 3, 1, 1)

        def forward(self, slow, fast):
            return self.slow(slow).mean((2, 3, 4)), self.fast(fast).mean((2, 3, 4))

    slow = ModelInput("slow", frames=2, stride=2, size=(16, 16))
    fast = ModelInput("fast", frames=4, stride=1, size=(16, 16))
    model = made(Two)
    results = BiasTracker(model, [slow, fast], ["slow", "fast"], CLIPS).measure(0)
    expected = measure_biases(TorchRunner(model, [slow, fast], ["slow", "fast"]), CLIPS, progress=False)
    assert results.layers == expected.layers


class TestFolder:
    def test_each_measurement_is_a_run_and_a_stopped_training_goes_on(self, tmp_path):
        out = tmp_path / "train"
        model = made()
        first = tracked(model, every=2, out=out)
        first.measure(0)
        trained(model, 4, after=first.step)
        assert sorted(p.name for p in out.iterdir()) == ["step-000000", "step-000002", "step-000004"]
        assert Results.load(out / "step-000002").layers == first.results[2].layers
        (out / "step-000006").mkdir()  # stopped in the middle
        again = tracked(model, every=2, out=out)
        assert list(again.results) == [0, 2, 4]
        before = again.results[4].layers
        assert again.step(3) is None
        replaced = again.step(4)
        assert replaced.layers != before
        assert Results.load(out / "step-000004").layers == replaced.layers
        again.step(6)
        assert list(again.results) == [0, 2, 4, 6]
        assert not list(out.glob(".*"))

    def test_other_arguments_in_one_folder_are_refused(self, tmp_path):
        tracked(made(), out=tmp_path).measure(0)
        other = tracked(made(), out=tmp_path, seed=1)
        with pytest.raises(InputError, match=r"different settings .*seed.*e\.g\. step 0.*another folder"):
            other.measure(1)
        assert [p.name for p in tmp_path.glob("step-*")] == ["step-000000"]


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
class TestWrappers:
    def test_compiled_modules_are_measured_as_they_are_and_not_compiled_anew(self):
        compiled = []

        def backend(graph, _):
            compiled.append(graph)
            return graph.forward

        plain = made()
        losses = trained(plain)
        expected = tracked(plain).measure(6)
        for in_place in (False, True):
            torch._dynamo.reset()
            compiled.clear()
            model = made()
            if in_place:
                model.compile(backend=backend)
            wrapped = model if in_place else torch.compile(model, backend=backend)
            tracker = tracked(wrapped)
            assert tracker.module is model
            assert trained(wrapped, after=tracker.step) == pytest.approx(losses, rel=1e-5)
            assert len(compiled) == 1
            for found, row in zip(tracker.measure(6).layers, expected.layers, strict=True):
                assert found["percent"]["static"] == pytest.approx(row["percent"]["static"], abs=1e-3)

    def test_wrappers_are_taken_off(self):
        model = made()
        assert unwrap(torch.compile(nn.DataParallel(model))) is model

    def test_weights_on_several_devices_are_refused(self):
        model = made()
        model.fc.to("meta")
        with pytest.raises(InputError, match=r"Net is on several devices .*cpu, meta.*checkpoints"):
            tracked(model)

    def test_autocast_does_not_reach_the_measurement(self):
        model = made()
        expected = tracked(model).measure(0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = tracked(model).measure(0)
            assert torch.is_autocast_enabled("cpu")
        assert found.layers == expected.layers

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_weights_of_other_precisions(self, dtype):
        expected = tracked(made()).measure(0).layer("stage")
        found = tracked(made().to(dtype)).measure(0).layer("stage")
        assert found["percent"]["static"] == pytest.approx(expected["percent"]["static"], abs=0.5)


def test_of_two_processes_the_first_measures_and_neither_waits_for_ever(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.workers.tracker_worker", str(tmp_path), str(rank)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [worker.communicate(timeout=120)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    # As many measurements, and losses with and without: see the worker.
    assert printed[0][:2] == ["3", "True"]
    assert printed[1][:2] == ["0", "True"]
    assert [p.name for p in sorted((tmp_path / "run").iterdir())] == ["step-000001", "step-000002", "step-000003"]
