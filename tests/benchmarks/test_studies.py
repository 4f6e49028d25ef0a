"""The studies: what they are made of, and a form of each that takes a minute."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

from benchmarks.studies import dose, over_training, removal
from benchmarks.studies.__main__ import PLANS, run
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.networks import FRAMES, NETWORKS, SIZE
from benchmarks.studies.models.recipe import ORDERED, Budget, Dropout, Recipe
from benchmarks.studies.models.training import TEST_SEED, prepared, world
from benchmarks.studies.results import write_results
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Scale, Study, Table, larger, similar, smaller

TINY = Scale(seeds=(0,), budget=Budget(clips=32, epochs=1, tested=20, measured=12), removed=(0.3, 0.7), draws=2)


class TestMeans:
    def test_the_interval_is_student_s(self):
        scipy_stats = pytest.importorskip("scipy.stats")
        values = [3.0, 5.0, 4.0, 8.0, 6.5]
        mean = Mean.of(values)
        low, high = scipy_stats.t.interval(0.95, 4, loc=mean.value, scale=scipy_stats.sem(values))
        assert mean.value - mean.half == pytest.approx(low)
        assert mean.value + mean.half == pytest.approx(high)

    def test_one_seed_has_none(self):
        assert str(Mean.of([3.0])) == "3.0"
        assert not Mean.of([3.0]).above

    def test_verdicts(self):
        up, down, none = Mean(1, 0.5, 5), Mean(-1, 0.5, 5), Mean(0.1, 0.5, 5)
        assert [larger(up), larger(down), larger(none), larger(up, none), larger(up, down)] == [
            HOLDS, FAILS, OPEN, OPEN, FAILS,
        ]  # fmt: skip
        assert [smaller(up), smaller(down), smaller(none)] == [FAILS, HOLDS, OPEN]
        assert [similar(2.0, up, none), similar(1.2, up), similar(0.4, up), similar(2, Mean(0, None, 1))] == [
            HOLDS, OPEN, FAILS, OPEN,
        ]  # fmt: skip

    def test_arms_are_paired_by_seed(self):
        assert paired([1.0, 2.0, 30.0], [0.0, 1.0, 29.0]) == Mean(1.0, 0.0, 3)


class TestRecipes:
    def test_the_key_differs_with_anything(self):
        recipe = Recipe("i3d", "motion", 0)
        others = [
            replace(recipe, **change)
            for change in (
                {"network": "c2d"}, {"task": "both"}, {"seed": 1}, {"variant": ORDERED}, {"shuffled": True},
                {"tracked": True}, {"dropout": Dropout("static", 0.5)}, {"budget": Budget(epochs=1)},
                {"dropout": Dropout("static", 0.5, {"replacement": True})},
            )
        ]  # fmt: skip
        assert len({one.key for one in (recipe, *others)}) == 10
        assert recipe.key == Recipe("i3d", "motion", 0).key

    def test_labels_in_the_order_of_the_outputs(self):
        assert Recipe("i3d", "both", 0).classes == {"motion": 8, "appearance": 8}
        assert Recipe("i3d", "order", 0, ORDERED).classes == {"motion": 12}


@pytest.fixture(scope="module")
def video():
    return world(Recipe("c2d", "motion", 0), 3, TEST_SEED)[0]


class TestNetworks:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_outputs_layers_and_features(self, name, video):
        network = NETWORKS[name](5).eval()
        assert network(*prepared(video, network.inputs)).shape == (3, 5)
        assert network.fc.in_features == network.features
        assert set(network.layers) <= {layer for layer, _ in network.named_modules()}

    @pytest.mark.parametrize(("name", "blind"), [("c2d", True), ("i3d", False), ("timesformer", False)])
    def test_a_network_of_single_frames_is_blind_to_their_order(self, name, blind, video):
        network = NETWORKS[name](5).eval()
        backwards = network(*prepared(video.flip(1), network.inputs))
        assert torch.allclose(network(*prepared(video, network.inputs)), backwards, atol=1e-5) == blind

    @pytest.mark.parametrize("connected", [True, False])
    def test_connections_bring_the_fast_pathway_to_the_slow_one(self, connected, video):
        network = NETWORKS["slowfast" if connected else "slowfast_unconnected"](5).eval()
        seen = []
        network.slow.stage1.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        slow, fast = prepared(video, network.inputs)
        network(slow, fast)
        network(slow, torch.zeros_like(fast))
        assert torch.equal(*seen) != connected

    def test_slow_pathways_read_every_second_frame(self):
        slow, fast = NETWORKS["slowfast"](2).inputs
        assert (slow.frames, fast.frames) == (FRAMES // 2, FRAMES)
        assert fast.size == (SIZE, SIZE)


def test_a_bias_is_reached_when_it_no_longer_leaves_the_end():
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert over_training.reached(shares, [1, 9, 2, 9.3, 9.2]) == 0.75
    assert over_training.reached(shares, [9, 9.1, 9.2, 9.3, 9.2]) == 0.0
    assert over_training.reached(shares, [0, 0, 0, 0, 9]) == 1.0


def test_the_page_is_made_of_the_json_alone(tmp_path):
    findings = [Finding("Motion is seen.", "12.5 ± 0.5 points", HOLDS, "3.3")]
    table = Table("Numbers", ("network", "dynamic"), [("a|b", "41.7")])
    points = [
        {"kind": kind, "rate": rate, "measure": dose.SHUFFLED, "mean": 40.0, "half_width": None, "seeds": 1}
        for kind, rate in (("none", 0.0), ("static", 0.5))
    ]
    path = Study("dose", "Dose", "Small.", findings, [table], points).save(tmp_path)
    again = Study.load(path)
    page = write_results([again], tmp_path).read_text()
    assert "| Motion is seen. | 3.3 | 12.5 ± 0.5 points | **holds** |" in page
    assert r"| a\|b | 41.7 |" in page
    assert (tmp_path / "figures" / "dose.png").read_bytes().startswith(b"\x89PNG")
    assert again.save(tmp_path / "again").read_text() == path.read_text()


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize(
    "names",
    [pytest.param(["architectures"], id="one"), pytest.param([*PLANS], id="all", marks=pytest.mark.all)],
)
def test_studies_in_a_minute_each(names, tmp_path, monkeypatch):
    """Whole, from training to the page, on a scale that shows that it runs and not what it finds."""
    bank, out, plans = Bank(tmp_path / "bank"), tmp_path / "out", {name: PLANS[name] for name in names}
    page = run(list(plans.values()), bank, TINY, out, processes=1).read_text()
    for name, plan in plans.items():
        study = json.loads((out / f"{name}.json").read_text())
        assert study["findings"], name
        for row in study["findings"]:
            assert row["verdict"] in (HOLDS, FAILS, OPEN)
            assert f"| {row['claim']} | {row['number']} | {row['ours']} | **{row['verdict']}** |" in page
        assert (out / "figures" / f"{name}.png").exists()
        for recipe in plan.recipes(TINY):
            record = bank.record(recipe)
            if isinstance(recipe, Recipe):
                found = record["top1"]["alike"]["in_order"]
                assert {label: len(row["by_class"]) for label, row in found.items()} == recipe.classes
            else:
                assert len(record["iou"]) == 2
                assert all(0 <= value <= 1 for value in record["iou"].values())
    assert not re.search(r"\bnan\b", page)

    def each(_self, _work, recipes, title, _processes=None):
        assert not recipes, f"{title} again"

    monkeypatch.setattr(Bank, "each", each)
    before = (out / "architectures.json").read_bytes()
    run([PLANS["architectures"]], bank, TINY, out)
    assert (out / "architectures.json").read_bytes() == before


def test_an_ablation_with_other_removals_is_not_taken_for_this_one(tmp_path):
    recipe, bank = removal.recipes(TINY)[0], Bank(tmp_path)
    scales = [TINY, replace(TINY, removed=(0.3,)), replace(TINY, draws=3), Scale()]
    assert len({removal.ablation_folder(bank, recipe, scale) for scale in scales}) == len(scales)
