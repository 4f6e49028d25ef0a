"""What `make real` measures, without the networks' packages."""

import numpy as np
import pytest
import torch

from benchmarks.real import tables
from benchmarks.real.from_torch import reset
from benchmarks.real.networks import NETWORKS, PHYSNET_FILES, QUESTIONS, physnet_file
from benchmarks.real.physnet import LAYERS, PhysNet, normalised_differences
from benchmarks.real.videos import SETS, list_videos, missing_videos
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.compare import Comparison


def test_differences_are_those_that_physnet_was_trained_on():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4, 6)).astype(np.float64)
    frames[1] = 7
    before, after = frames[0, :, :-1], frames[0, :, 1:]
    steps = (after - before) / (after + before + 1e-7)
    expected = np.zeros_like(frames)
    expected[0, :, :-1] = steps / steps.std()
    np.testing.assert_allclose(normalised_differences(torch.from_numpy(frames)).numpy(), expected, atol=1e-12)


def test_physnet_is_the_published_network():
    module = PhysNet().eval()
    assert sum(value.numel() for value in module.state_dict().values()) == 769_836
    with torch.no_grad():
        assert module(torch.full((1, 3, 128, 16, 16), 9.0)).shape == (1, 128)
    assert set(LAYERS) < {name for name, _ in module.named_modules()}


@pytest.mark.parametrize("weights", PHYSNET_FILES)
def test_published_weights_fit(weights: str):
    if not physnet_file(weights).is_file():
        pytest.skip("no folder real/physnet in shared/: published weights are not part of the checkout")
    state = torch.load(physnet_file(weights), map_location="cpu", weights_only=True)
    assert str(PhysNet().load_state_dict(state)) == "<All keys matched successfully>"


def test_random_weights_depend_on_the_seed_only():
    modules = [PhysNet() for _ in range(3)]
    for module, seed in zip(modules, (0, 0, 1), strict=True):
        reset(module, seed)
    one, same, other = (module.ConvBlock1[0].weight for module in modules)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_questions_are_about_networks_that_are_measured():
    titles = [network.title for network in NETWORKS]
    assert len({network.name for network in NETWORKS}) == len(titles)
    assert {title for pairs in QUESTIONS.values() for pair in pairs for title in pair} <= set(titles)


def test_videos_are_listed_by_names_that_hold_everywhere(tmp_path):
    if reason := missing_videos():
        pytest.skip(reason)
    names = list_videos(tmp_path, tuple(SETS)).read_text().split()
    assert names[0] == "path"
    assert len(names) == 16
    assert all((tmp_path / name).exists() for name in names[1:])


def test_differences_are_summed_up():
    def row(static: float, low: float | None, high: float | None) -> dict[str, object]:
        changes = {"static": static, "dynamic": -static}
        named = {f"percent_{factor}": change for factor, change in changes.items()}
        ends = {f"percent_{factor}_{end}": value for factor in changes for end, value in (("low", low), ("high", high))}
        return {"from_layer": "a", "share_static": 1.0, "share_dynamic": None, **named, **ends}

    rows = [row(1.0, 0.5, 1.5), row(-3.0, -7.0, 1.0), row(2.0, None, None), row(-4.0, -5.0, -3.0)]
    comparison = Comparison({}, [], rows, [])
    assert tables.summary_table({"one → other": comparison}).splitlines()[-1] == (
        "| one → other | 4 | 2.5, 4.0 | 2.5, 4.0 | 2 of 4 | 2 of 4 |"
    )
    assert tables.difference_table(comparison).splitlines()[3] == "| a | −3.0 [−7.0, 1.0] | 3.0 [−7.0, 1.0] | 1.0 | – |"


def test_live_and_exported_are_compared():
    def results(score: float, label: str) -> Results:
        units = [{"layer": "a", "unit": 0, "dynamic": None, "static": score, "label": label}]
        layers = [{"name": "a", "percent": {"dynamic": 20.0, "static": 40 + score}}]
        return Results({}, 0, "pearson", 0.5, {"used": 5, "looped": 0, "skipped": []}, layers, units)

    pair = (results(0.5, "static"), results(0.25, "residual"))
    assert tables.live_table({"net": pair}).splitlines()[-1] == "| net | 5 | 2.5e-01 | 2.5e-01 | 1 of 1 |"
