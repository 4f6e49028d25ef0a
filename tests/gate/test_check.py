"""check(): every verdict, on runs whose change is known; and the numbers against a comparison of the same runs."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest

import sdmetrics as sd
from benchmarks.coverage import CLIPS as CLIPS_DRAWN
from benchmarks.coverage import STATED
from benchmarks.gate.alarms import LAYER, UNITS, alarms, grouped, half_changed, members, other_seed
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.gate.change import apart
from sdmetrics.gate.class_shares import class_shares
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.moments import PairMoments
from tests.helpers import runs
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip

CLIPS = [noise_clip(seed) for seed in range(40)]


def some(frames):
    """A few units that follow changes, and a few that follow colours."""
    return np.concatenate([changes(frames), colours(frames) + 40 * changes(frames)[:, :1]], axis=1)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The runs of a moving, a still and a mixed model on the same clips, and of the moving one with another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, layer, seed in (("moving", changes, 0), ("still", colours, 0), ("mixed", some, 0), ("again", changes, 1)):
        measure_biases(NumpyRunner({"deep": layer}), CLIPS, out=folder / name, seed=seed, progress=False)
    return folder


def test_a_model_that_lost_its_motion_is_worse(analysed):
    gate = sd.check(
        analysed / "still", baseline=analysed / "moving", max_drop=["deep.dynamic 5"], max_rise=["deep.static 5"]
    )
    assert [outcome.verdict for outcome in gate.outcomes] == ["worse", "worse"]
    assert (gate.status(), gate.failed, gate.unsure) == (1, True, False)
    lost, gained = gate.outcomes
    assert lost.low <= lost.change <= lost.high < -5
    assert 5 < gained.low <= gained.change <= gained.high
    assert not lost.note


def test_no_interval_is_beyond_what_is_possible(analysed):
    limits = ["deep.units.dynamic 100", "deep.score.dynamic 2"]
    units, score = sd.check(analysed / "still", baseline=analysed / "moving", max_drop=limits).outcomes
    assert (units.change, units.low) == (-100, -100)
    assert -2 <= score.low <= score.change <= score.high


def test_the_same_run_is_not_worse_even_by_nothing(analysed):
    limits = [
        f"deep.{measure} 0" for measure in ("dynamic", "identical", "units.dynamic", "units.dead", "score.static")
    ]
    gate = sd.check(analysed / "moving", baseline=analysed / "moving", max_drop=limits, max_rise=limits)
    assert {outcome.verdict for outcome in gate.outcomes} == {"not worse"}
    assert all((outcome.change, outcome.low, outcome.high) == (0, 0, 0) for outcome in gate.outcomes)
    assert gate.status(strict=True) == 0


def test_a_better_model_is_not_worse(analysed):
    gate = sd.check(
        analysed / "moving", baseline=analysed / "still", max_drop=["deep.dynamic 0", "deep.score.dynamic 0"]
    )
    assert [outcome.verdict for outcome in gate.outcomes] == ["not worse", "not worse"]


def test_a_limit_in_the_middle_of_the_interval_cannot_be_told(analysed):
    free = sd.check(analysed / "mixed", baseline=analysed / "moving", max_drop=["deep.dynamic 100"]).outcomes[0]
    nearly = -free.change + 0.25 * (free.change - free.low)
    gate = sd.check(analysed / "mixed", baseline=analysed / "moving", max_drop=[f"deep.dynamic {nearly:.6f}"])
    (outcome,) = gate.outcomes
    assert outcome.verdict == "cannot tell"
    assert (gate.status(), gate.status(strict=True)) == (0, 3)
    # A quarter of the half-width takes 16 times the clips, rounded up to two digits.
    assert "about 640 such clips would tell, if the change stays as it is; there are 40" in outcome.note


def test_a_change_is_that_of_compare(analysed):
    row = sd.compare({name: analysed / name for name in ("moving", "mixed")}).differences[-1]
    outcome = sd.check(analysed / "mixed", baseline=analysed / "moving", max_drop=["deep.dynamic 5"]).outcomes[0]
    expected = [row[f"percent_dynamic{end}"] for end in ("", "_low", "_high")]
    np.testing.assert_allclose([outcome.change, outcome.low, outcome.high], expected, rtol=1e-9)


def test_runs_with_other_seeds_are_independent_and_said_to_be(analysed):
    gate = sd.check(
        analysed / "again", baseline=analysed / "moving", max_drop=["deep.dynamic 50", "deep.units.dynamic 50"]
    )
    assert [outcome.verdict for outcome in gate.outcomes] == ["not worse", "not worse"]
    assert all("not paired: other seeds" in outcome.note for outcome in gate.outcomes)
    assert any("seeds differ" in warning for warning in gate.warnings)
    before, after = (sd.Results.load(analysed / name).layer("deep") for name in ("moving", "again"))
    ends = [layer["ci95"]["percent"]["dynamic"] for layer in (before, after)]
    values = [layer["percent"]["dynamic"] for layer in (before, after)]
    np.testing.assert_allclose((gate.outcomes[0].low, gate.outcomes[0].high), apart(values, ends), rtol=1e-6)


def test_without_shards_percents_have_an_unpaired_interval_and_classes_none(analysed, tmp_path):
    copytree(analysed / "mixed", tmp_path / "mixed")
    rmtree(tmp_path / "mixed" / "shards")
    limits = ["deep.dynamic 100", "deep.units.dynamic 100"]
    percent, units = sd.check(tmp_path / "mixed", baseline=analysed / "moving", max_drop=limits).outcomes
    assert percent.verdict == "not worse"
    assert "not paired: which clips they saw is not known" in percent.note
    assert (units.verdict, units.low) == ("cannot tell", None)
    assert "no interval: the shards of the run are missing" in units.note


def test_a_run_that_stopped_when_sure_has_wider_changes(analysed):
    before, after = (sd.Results.load(analysed / name) for name in ("moving", "mixed"))
    stopped = {"after_rounds": 2, "of_rounds": 2, "widening": 1.5}
    plain = sd.check(after, baseline=before, max_drop=["deep.dynamic 5"]).outcomes[0]
    wider = sd.check(replace(after, stopped=stopped), baseline=before, max_drop=["deep.dynamic 5"]).outcomes[0]
    assert wider.high - wider.change == pytest.approx(1.5 * (plain.high - plain.change))
    assert wider.change - wider.low == pytest.approx(1.5 * (plain.change - plain.low))


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"estimator": "icc"}, "estimator"), ({"threshold": 0.4}, "threshold")],
)
def test_runs_on_other_scales_are_refused(changed, words):
    before, after = runs.run(), replace(runs.run(), **changed)
    with pytest.raises(sd.InputError, match=f"{words} .*not on one scale"):
        sd.check(after, baseline=before, max_drop=["stage4.dynamic 5"])


def test_what_is_missing_is_said():
    run = runs.run()
    for arguments, words in (
        ({}, "nothing to check"),
        ({"max_drop": ["stage4.dynamic 5"]}, "need a baseline"),
        ({"baseline": run, "require": ["stage4.dynamic > 5"]}, "no limit"),
        ({"baseline": run, "max_drop": "stage4.dynamic 5"}, "a list of texts"),
        ({"require": "stage4.dynamic > 5"}, "a list of texts"),
        ({"baseline": run, "max_drop": ["stage9.dynamic 5"]}, "the baseline: no layer 'stage9'"),
        ({"baseline": runs.run({"deep": (0.4, 0.5)}), "max_drop": ["deep.dynamic 5"]}, "the run: no layer 'deep'"),
        ({"baseline": run, "max_drop": ["evaluation.top1 5"]}, "evaluation.json"),
        ({"baseline": runs.run(pairs=1), "max_drop": ["stage4.dynamic 5"]}, "is undefined in the baseline"),
    ):
        with pytest.raises(sd.InputError, match=words):
            sd.check(run, **arguments)


def test_a_model_that_was_trained_on_shuffled_clips_is_judged_with_a_caution():
    run = runs.run()
    run.model["caution"] = "It was trained on shuffled clips."
    assert sd.check(run, ["stage4.dynamic > 1"]).warnings == ("It was trained on shuffled clips.",)
    assert sd.check(runs.run(), ["stage4.dynamic > 1"]).warnings == ()


def test_runs_without_intervals_cannot_be_told():
    gate = sd.check(runs.run(intervals=False), baseline=runs.run(), max_drop=["stage4.dynamic 5"])
    assert gate.outcomes[0].verdict == "cannot tell"
    assert "no interval" in gate.outcomes[0].note


def evaluated(folder: Path, right: np.ndarray, seed: int = 0, shuffled: bool = True) -> Path:
    """Store a run with an evaluation of clips that are right or not, in order and shuffled."""
    run = runs.run()
    run.save(folder)
    rows = []
    for clip, (in_order, after_shuffle) in enumerate(right.tolist()):
        row = {"id": f"c{clip}", "video": f"v{clip}", "label": 0, "in_order": {"top1": in_order, "top5": True}}
        rows.append(row | ({"shuffled": {"top1": after_shuffle, "top5": True}} if shuffled else {}))
    (folder / "evaluation.json").write_text(json.dumps({"schema": 1, "model": run.model, "seed": seed, "clips": rows}))
    return folder


@pytest.fixture
def scored(tmp_path):
    """The evaluation of a model that needs the order of frames, and of one that does not."""
    rng = np.random.default_rng(0)
    in_order = rng.random(200) < 0.8
    needs = np.stack([in_order, rng.random(200) < 0.3], axis=1)
    blind = np.stack([in_order, in_order], axis=1)
    return evaluated(tmp_path / "needs", needs), evaluated(tmp_path / "blind", blind), needs


def test_accuracies_are_compared_clip_by_clip(scored):
    needs, blind, right = scored
    top1, shuffle = sd.check(blind, baseline=needs, max_drop=["evaluation.top1 0", "evaluation.shuffle 3"]).outcomes
    assert (top1.verdict, top1.change, top1.low, top1.high) == ("not worse", 0, 0, 0)
    assert (shuffle.verdict, shuffle.value) == ("worse", 0)
    assert shuffle.baseline == pytest.approx(100 * (right[:, 0].mean() - right[:, 1].mean()))
    assert not shuffle.note


def test_accuracies_of_other_seeds_or_clips_are_not_paired(scored, tmp_path):
    needs, _, right = scored
    other_seed = evaluated(tmp_path / "seed", right, seed=1)
    fewer = evaluated(tmp_path / "fewer", right[:150])
    limits = ["evaluation.top1 50", "evaluation.shuffle 50"]
    notes = [[o.note for o in sd.check(run, baseline=needs, max_drop=limits).outcomes] for run in (other_seed, fewer)]
    assert notes == [["", "not paired: other seeds"], ["not paired: other clips"] * 2]


def test_an_evaluation_that_is_not_one_is_refused(scored, tmp_path):
    needs, _, right = scored
    plain = evaluated(tmp_path / "plain", right, shuffled=False)
    with pytest.raises(sd.InputError, match="no frames were shuffled"):
        sd.check(plain, baseline=needs, max_drop=["evaluation.shuffle 3"])
    for content in (
        "[]",
        '{"schema": 2}',
        '{"schema": 1, "clips": []}',
        '{"schema": 1, "seed": 0, "clips": [{"id": 1}]}',
    ):
        (plain / "evaluation.json").write_text(content)
        with pytest.raises(sd.InputError, match="no outcomes of labelled clips"):
            sd.check(plain, baseline=needs, max_drop=["evaluation.top1 3"])


def test_an_evaluation_of_another_model_is_refused(scored):
    needs, blind, _ = scored
    path = blind / "evaluation.json"
    document = json.loads(path.read_text())
    document["model"]["model_sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    with pytest.raises(sd.InputError, match="of another model than the run beside it"):
        sd.check(blind, baseline=needs, max_drop=["evaluation.top1 3"])


def test_a_unit_that_is_dead_without_one_group_is_not_certain():
    """It responds in the clips of one group only: whether it encodes anything hangs on that group."""
    rng = np.random.default_rng(0)
    groups = []
    for group in range(20):
        z = rng.normal(size=(10, 1)) if group == 0 else np.zeros((10, 1))
        groups.append([{LAYER: {f: PairMoments.from_arrays(z, z) for f in ("dynamic", "static")}}])
    low, high = class_shares(groups, LAYER, "joint", "pearson", 0.5).interval(100.0)
    assert high > 100 > low


def test_the_error_of_a_class_is_that_of_a_naive_bootstrap_of_groups():
    """Redrawing whole groups spreads the percent of static units about as much as the draws of scores do."""
    rng = np.random.default_rng(3)
    video = np.arange(CLIPS_DRAWN)
    groups = grouped(members(STATED["Gaussian"], video, rng), rng.integers(20, size=len(video)))
    share = class_shares(groups, LAYER, "static", "pearson", 0.5)
    resampled = []
    for _ in range(300):
        chosen = [groups[index] for index in rng.integers(len(groups), size=len(groups))]
        factors = {f: [group[0][LAYER][f] for group in chosen] for f in ("dynamic", "static")}
        resampled.append(100 * unit_bias(factors).counts["static"] / UNITS)
    assert share.draws.std() == pytest.approx(np.std(resampled), rel=0.25)


@pytest.mark.parametrize(
    ("again", "cases"),
    [
        (other_seed, 60),
        pytest.param(other_seed, 200, marks=pytest.mark.all),
        pytest.param(half_changed, 200, marks=pytest.mark.all),
    ],
)
def test_false_alarms_are_rare(again, cases):
    """A model that is no worse is called worse in at most 5 % of the cases, even with a limit of 0."""
    found = alarms(STATED["Gaussian"], again, cases)
    assert all(percent <= 5 for percent in found.values()), found
