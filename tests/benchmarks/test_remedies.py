"""The studies of remedies: their parts by hand, and a whole form that takes seconds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.studies.means import Mean
from benchmarks.studies.models.recipe import Budget, Dropout, Recipe
from benchmarks.studies.remedies import alone, eq4, networks, page, worlds
from benchmarks.studies.remedies.arms import (
    ARMS,
    CEILING,
    COMBINATIONS,
    EVERY_FOURTH,
    HARDEST,
    NONE,
    Choice,
    chosen,
    treated,
    tuned,
)
from benchmarks.studies.remedies.comparison import TOP1, Comparison
from benchmarks.studies.remedies.measures import frames_of, seen
from benchmarks.studies.remedies.probe import RIDGE, linear_probe
from benchmarks.studies.remedies.ranks import agreement, ranks, spearman
from benchmarks.studies.remedies.recipe import Remedy, Treated
from benchmarks.studies.remedies.training import CHANNELS, PREDICTIONS, WARNINGS, Treatment, build, train
from benchmarks.studies.results import write_results
from benchmarks.studies.study import FAILS, HOLDS, Scale, Study
from sdmetrics.clips.sampling import frame_order
from sdmetrics.torch.training.watch import FIRST, WINDOW, ChannelWatch, PredictionWatch
from tests import naive

TINY = Budget(clips=32, epochs=1, tested=16, measured=12)


class TestProbe:
    def test_it_is_the_naive_ridge_regression(self):
        rng = np.random.default_rng(0)
        labels, theirs = rng.integers(0, 4, 60), rng.integers(0, 4, 80)
        centres = rng.normal(size=(4, 6))
        features, further = centres[labels] + rng.normal(size=(60, 6)), centres[theirs] + rng.normal(size=(80, 6))
        expected = naive.ridge_top1(features, labels, further, theirs, RIDGE)
        assert 0.3 < expected < 1
        assert linear_probe(features, labels, further, theirs) == pytest.approx(expected)

    def test_what_features_do_not_hold_is_at_chance(self):
        rng = np.random.default_rng(1)
        labels, theirs = rng.integers(0, 4, 400), rng.integers(0, 4, 400)
        assert linear_probe(rng.normal(size=(400, 5)), labels, rng.normal(size=(400, 5)), theirs) < 0.35

    def test_units_that_do_not_vary_and_scales_do_not_matter(self):
        rng = np.random.default_rng(2)
        labels, theirs = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
        features, further = (np.eye(3)[of] + 0.3 * rng.normal(size=(50, 3)) for of in (labels, theirs))
        plain = linear_probe(features, labels, further, theirs)
        dead = np.zeros((50, 1))
        scaled = linear_probe(np.hstack([1e6 * features, dead]), labels, np.hstack([1e6 * further, dead + 5]), theirs)
        assert plain == scaled > 0.8


class TestRanks:
    def test_equal_values_share_a_rank(self):
        assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]

    @given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=8))
    def test_the_correlation_is_the_naive_one(self, pairs):
        x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
        assert spearman(x, y) == pytest.approx(naive.spearman(x, y))

    def test_the_interval_is_around_it_and_narrows_with_the_pairs(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=60)
        y = x + rng.normal(size=60)
        few, many = agreement(x[:12], y[:12]), agreement(x, y)
        assert few.low < few.value < few.high
        assert many.high - many.low < few.high - few.low
        assert many.low > 0.3
        assert str(agreement([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])).startswith("1.00 [")


class TestEq4:
    def test_chances_are_the_inclusion_probabilities(self):
        scores = np.array([0.9, 0.5, 0.1, -0.4, -0.8])
        p = naive.softmax(scores / 0.25)
        found = eq4.chances(scores, 0.4, 0.25)
        expected = np.quantile(naive.inclusion(p, 2), [eq4.LOW, eq4.HIGH])
        assert (found["low"], found["high"]) == pytest.approx(tuple(expected), abs=0.02)
        assert found["effective"] == pytest.approx(100 * math.exp(-(p * np.log(p)).sum()) / 5)

    def test_the_lowest_temperature_chooses(self):
        scores = np.linspace(0, 1, 11)
        found = eq4.chances(scores, 0.5, eq4.CASES["the hardest channels"])
        assert (found["low"], found["high"]) == (0, 1)

    def test_the_error_of_an_estimate(self):
        records = [{"static_scores": [0.5, None, 0.1], "drawn_by": [0.7, 0.0, 0.1]}]
        found = eq4.estimate_error(records)
        assert found["error"] == pytest.approx(0.2 / math.sqrt(3))
        assert found["spread"] == pytest.approx(np.std([0.5, 0.0, 0.1]))


class OneArm:
    """The accuracies of an arm, by seed."""

    def __init__(self, *top1):
        self.values = list(top1)

    def top1(self):
        return self.values


class TestComparison:
    def test_gaps_are_compared_seed_by_seed(self):
        arms = {NONE: OneArm(50.0, 60.0), "better": OneArm(68.0, 78.0), CEILING: OneArm(70.0, 80.0)}
        compared = Comparison(arms)
        assert compared.minus("better", NONE, TOP1) == Mean(18.0, 0.0, 2)
        assert compared.closed("better") == pytest.approx(90)
        beyond = compared.beyond("better", 0.5)
        assert (beyond.value, beyond.half) == (pytest.approx(8), pytest.approx(0))

    def test_no_gap_is_not_closed(self):
        same = OneArm(50.0, 60.0)
        assert Comparison({NONE: same, "better": OneArm(60.0, 70.0), CEILING: same}).closed("better") == 0


class TestArms:
    def test_no_two_arms_are_the_same(self):
        arms = Choice("r², λ = 1", "styles + r²").arms()
        keys = {treated(arm, Scale())[0].key for arm in arms.values()}
        assert len(keys) == len(arms) == len(ARMS) + 1
        assert arms[EVERY_FOURTH]["remedy"] == replace(COMBINATIONS["styles + r²"], every=4)

    def test_choices_are_made_on_seeds_and_clips_of_their_own(self):
        reported = {recipe.seed for arm in ARMS.values() for recipe in treated(arm, Scale())}
        assert not reported & {recipe.seed for recipe in tuned(Scale())}
        assert all(recipe.tuning for recipe in tuned(Scale()))

    def test_a_key_says_what_it_is_and_is_no_other_recipe_s(self):
        one = Treated("slowonly", "motion", 0)
        assert one.key.startswith("remedy-slowonly-motion-seed0-")
        assert len({one.key, Recipe("slowonly", "motion", 0).key, replace(one, ceiling=True).key}) == 3


def treatment(**changes):
    """An untrained treatment of a network that is quick to train."""
    variant = treated({}, Scale())[0].variant
    return Treatment(Treated("slowonly", "motion", 0, variant, budget=TINY, **changes))


class TestTreatment:
    def test_the_ceiling_has_no_shortcut_and_the_same_motions(self):
        given_away, fair = treatment(), treatment(ceiling=True)
        (video, labels), (other, same) = given_away._items.tensors, fair._items.tensors
        assert torch.equal(labels, same)
        assert not torch.equal(video, other)

    @pytest.mark.parametrize(
        ("remedy", "attached"),
        [(Remedy(), False), (Remedy(restyled=True), False), (Remedy(penalty=1.0), True), (Remedy(entropy=1.0), True)],
    )
    def test_what_is_attached(self, remedy, attached):
        assert (treatment(remedy=remedy).attached is not None) == attached

    def test_the_timed_twin_changes_nothing(self, monkeypatch):
        weights = []
        for every in (1, 1000):
            monkeypatch.setattr("benchmarks.studies.remedies.training.TIMED_EVERY", every)
            one = treatment(dropout=Dropout("standard", 0.5))
            one.run()
            weights.append(torch.cat([parameter.flatten() for parameter in one.model.parameters()]))
        assert torch.equal(*weights)

    def test_a_record_is_whole(self):
        recipe = Treated("slowonly", "motion", 0, budget=TINY, remedy=Remedy(penalty=1.0, entropy=1.0, restyled=True))
        model, record = train(recipe)
        again = json.loads(json.dumps(record))
        assert set(again["top1"]["decorrelated"]) == {"in_order", "shuffle", "appearance-free"}
        assert set(again["probe"]) == {"motion", "appearance"}
        assert len(again["static_scores"]) == model.features == again["biases"][0]["layers"][0]["units"]
        assert again["relative_time"] > 0
        assert again["drawn_by"] is None
        assert not model._forward_pre_hooks


class TestMeasures:
    def test_a_network_reads_its_own_frames(self):
        recipe = Treated("slowfast", "motion", 0)
        inputs = tuple(build(recipe).inputs)
        slow, fast = frames_of(recipe.variant, 3, 0, inputs)
        assert slow.shape == (3, 4, 32, 32, 3)
        assert torch.equal(slow, fast[:, torch.from_numpy(frame_order(8, 4))])
        shuffled = frames_of(recipe.variant, 3, 0, inputs, "shuffle")[1]
        assert not torch.equal(shuffled, fast)
        assert torch.equal(shuffled.sort(1).values, fast.sort(1).values)

    def test_features_are_what_the_classifier_reads(self):
        recipe = Treated("slowonly", "motion", 0)
        model = build(recipe).eval()
        features, answers = seen(recipe, model, frames_of(recipe.variant, 3, 0, tuple(model.inputs)))
        logits = model.fc(torch.from_numpy(features).float())
        assert logits.argmax(1).tolist() == answers[:, 0].tolist()


class InventedBank:
    """A bank of models that were never trained: every number is drawn by the recipe's key."""

    def record(self, recipe):
        rng = np.random.default_rng(list(recipe.key.encode()))
        classes = sum(recipe.classes.values())
        label = next(iter(recipe.classes))

        def top1():
            return {label: {"top1": rng.random(), "by_class": list(rng.random(classes))}}

        counts = dict(zip(("dynamic", "static", "joint", "residual"), rng.multinomial(96, [0.25] * 4), strict=True))
        layer = {"name": "dropout", "units": 96, "counts": counts}
        decorrelated = {name: top1() for name in ("in_order", "shuffle", "appearance-free")}
        return {
            "top1": {"decorrelated": decorrelated, "alike": {"in_order": top1()}},
            "biases": [{"share": 1.0, "layers": [layer]}],
            "follows_appearance": rng.random(),
            "probe": {"motion": rng.random(), "appearance": rng.random()},
            "relative_time": 100 + 100 * rng.random(),
            "static_scores": [None, *rng.uniform(-0.2, 0.9, 95)],
            "drawn_by": list(rng.uniform(-0.2, 0.9, 96)),
            "warnings": [CHANNELS] if rng.random() < 0.5 else [],
        }


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("plan", [alone.PLAN, networks.PLAN, worlds.PLAN], ids=lambda plan: plan.name)
def test_every_arm_is_in_the_page(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(eq4, "DRAWS", 100)
    bank, scale = InventedBank(), Scale()
    assert {recipe.seed for recipe in plan.further(bank, scale)} == set(scale.seeds)
    study = plan.conclude(bank, scale)
    assert study.ours
    study.save(tmp_path)
    text = write_results([Study.load(tmp_path / f"{plan.name}.json")], tmp_path).read_text()
    assert "| claim | aim | measured | here |" in text
    assert "nan" not in text
    shown = {point["arm"] for point in study.points if "arm" in point}
    named = set(chosen(bank, scale).arms())
    assert shown == named if plan is alone.PLAN else shown < named | {EVERY_FOURTH}
    for arm in shown:
        assert f"\n| {arm} | " in text


class CostlyBank(InventedBank):
    """Remedies cost 10 points where labels need appearance; the trainings warn as the test says."""

    def __init__(self, warns):
        self.warns = warns

    def record(self, recipe):
        record = super().record(recipe)
        record["warnings"] = self.warns(recipe)
        if "appearance" in recipe.classes:
            top1 = 0.95 - 0.1 * (recipe.remedy != Remedy()) + 1e-3 * recipe.seed
            record["top1"]["decorrelated"]["in_order"]["appearance"]["top1"] = top1
        return record


def is_costly(recipe):
    return "appearance" in recipe.classes and bool(recipe.remedy.penalty or recipe.remedy.entropy)


@pytest.mark.parametrize(
    ("warns", "verdicts"),
    [
        (lambda recipe: [PREDICTIONS] if is_costly(recipe) else [], (HOLDS, FAILS, HOLDS)),
        (lambda recipe: [PREDICTIONS] if is_costly(recipe) and recipe.seed else [], (FAILS, FAILS, HOLDS)),
        (lambda recipe: [CHANNELS] if is_costly(recipe) else [], (HOLDS, FAILS, HOLDS)),
        (lambda recipe: [PREDICTIONS] if recipe.remedy.entropy else [], (HOLDS, FAILS, FAILS)),
        (lambda _: [CHANNELS], (HOLDS, HOLDS, HOLDS)),
    ],
)
def test_what_a_remedy_costs_is_judged_with_its_warning(warns, verdicts):
    findings = worlds.PLAN.conclude(CostlyBank(warns), Scale()).findings
    claims = ("costs at most 2 points, or warns", "So does each other remedy", "no training warns that predictions")
    assert tuple(next(one.verdict for one in findings if claim in one.claim) for claim in claims) == verdicts


def test_the_tables_of_the_page_are_the_study_s(tmp_path, monkeypatch):
    monkeypatch.setattr(eq4, "DRAWS", 100)
    study = alone.PLAN.conclude(InventedBank(), Scale())
    study.save(tmp_path)
    Study.load(page.FOLDER / "dose.json").save(tmp_path)
    text = page.section(tmp_path)
    arms = study.tables[0]
    row = next(row for row in arms.rows if row[0] == HARDEST)
    assert f"| {HARDEST} | {row[arms.columns.index(TOP1)]} | " in text
    assert "| Eq. 4 | 0.5 | " in text
    gain = study.tables[1].rows[[row[0] for row in study.tables[1].rows].index("hinge")]
    assert f"| hinge | {gain[study.tables[1].columns.index(TOP1)]} | " in text
    assert f"| {study.findings[0].claim} | {study.findings[0].ours} | {study.findings[0].verdict} |" in text


def test_the_warning_about_lost_channels_is_recognised():
    watch, dead = ChannelWatch("dropout"), torch.zeros(64, 8)
    for _ in range(WINDOW - 1):
        watch.add(dead, dead, dead)
    with pytest.warns(UserWarning, match=WARNINGS[CHANNELS]):
        watch.add(dead, dead, dead)


def test_the_warning_about_predictions_is_recognised():
    watch, logits = PredictionWatch(), torch.eye(8).repeat(8, 1)
    with pytest.warns(UserWarning, match=WARNINGS[PREDICTIONS]):
        watch.add(logits, logits, FIRST)


def test_the_page_needs_no_study_that_was_not_run():
    text = page.section(page.FOLDER)
    assert text.startswith("I3D, small motions")
    assert "| static | 0.5 |" in text
