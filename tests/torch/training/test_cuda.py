"""StaticDropout, the tracker and the torch runner on CUDA: what the CPU gives, and nothing left on the wrong device."""

import numpy as np
import pytest
import torch

from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch import BiasTracker, attach, finetune
from tests.helpers.fakes import noise_clip
from tests.helpers.training import made, train, videos

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")

VIDEO = ModelInput("video", frames=4, stride=1, size=(16, 16))
CLIPS = [noise_clip(number, frames=4) for number in range(24)]


def on_cuda(number=0):
    return videos(number).cuda()


def test_the_runner_on_cuda_gives_the_units_of_the_cpu():
    on_cpu, on_gpu = (TorchRunner(made(), [VIDEO], ["conv", "bn"], device) for device in ("cpu", "cuda"))
    assert on_gpu.circumstance["provider"].startswith("cuda")
    assert on_gpu.circumstance["device"] == torch.cuda.get_device_name()
    assert on_cpu.identity == on_gpu.identity
    rng = np.random.default_rng(0)
    feeds = {
        "rgb": rng.integers(0, 256, (3, 4, 16, 16, 3), dtype=np.uint8),
        "video/order": np.stack([rng.permutation(4) for _ in range(3)]),
    }
    masks = {"conv": np.array([1, 0, 1, 1, 0, 1], np.float32)}
    for given in (None, masks):
        expected, found = on_cpu(feeds, given), on_gpu(feeds, given)
        for layer, values in expected.items():
            np.testing.assert_allclose(found[layer], values, rtol=0, atol=1e-4 * max(1, np.abs(values).max()))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_static_dropout_estimates_on_cuda_what_it_estimates_on_the_cpu(precision):
    scores = {}
    for device, batch in (("cpu", videos), ("cuda", on_cuda)):
        torch.manual_seed(0)
        model = made().to(device)
        attached = attach(model, "pool", rate=0.3, every=2)
        if precision == "float32":
            train(model, last=4, batch=batch)
        else:
            with torch.autocast(device, torch.bfloat16):
                train(model, last=4, batch=batch)
        assert attached.dropout.scores.device.type == device
        assert attached.dropout.estimates > 0
        scores[device] = attached.dropout.scores.cpu().numpy()
        finetune(model)
        assert torch.isfinite(model.eval()(batch())).all()
    assert np.isfinite(scores["cuda"]).all()
    # Draws of the shuffles and of the dropout come from the devices' own generators: alike, not equal.
    assert np.abs(scores["cuda"]).max() <= 1


def test_the_tracker_on_cuda_gives_the_numbers_of_the_cpu_and_disturbs_nothing():
    tracked = {}
    for device in ("cpu", "cuda"):
        tracker = BiasTracker(made().to(device), [VIDEO], ["conv"], CLIPS, batch=12)
        tracked[device] = tracker.measure(0)
    for one, other in zip(tracked["cpu"].units, tracked["cuda"].units, strict=True):
        for factor in ("dynamic", "static"):
            assert one[factor] == pytest.approx(other[factor], abs=1e-4)
    trainings = []
    for tracks in (False, True):
        torch.manual_seed(0)
        model = made().cuda()
        tracker = BiasTracker(model, [VIDEO], ["conv"], CLIPS, batch=12)
        losses = []
        for number in range(4):
            losses += train(model, number, number + 1, batch=on_cuda)
            if tracks:
                tracker.measure(number)
        trainings.append(losses)
    assert trainings[0] == trainings[1]
