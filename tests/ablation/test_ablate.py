"""Removing units: against loops that remove them by hand, the plan of masks, and work that is interrupted."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics._files import load_npz, save_npz
from sdmetrics.ablation.ablate import FRACTIONS
from sdmetrics.ablation.plan import plan_removals, stored_scores
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.clips.render import feeds, plain
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.class_files import Classes
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.removal_mask import removal_mask
from tests.helpers.fakes import broken_clip
from tests.helpers.removable import CLASSES, CLIPS, SIGNAL, UNITS, Linear, clips_of, curve, quickly, results_of
from tests.helpers.runs import run


@pytest.fixture(scope="module")
def found():
    return quickly(layers=["early", "late"])


class TestNumbers:
    def test_without_the_unit_that_carries_the_class_the_model_guesses(self):
        found = quickly(Linear(), fractions=[0.05], repeats=40)
        assert curve(found, "dynamic", 0)["mean"] == curve(found, "random", 0)["mean"] == 1
        assert curve(found, "dynamic", 0.05)["mean"] == 1 / CLASSES
        assert curve(found, "static", 0.05)["mean"] == 1
        random = curve(found, "random", 0.05)
        assert random["draws"] == 40
        hit = [row["mean"] for row in found.rows if row["ranking"] == "random" and row["fraction"] == 0.05]
        assert set(hit) == {1 / CLASSES, 1}
        assert hit.count(1) > 30  # one unit of twenty is drawn: the signal's in one draw of twenty
        worst, *_ = found.overall
        assert (worst["factor"], worst["against"]) == ("dynamic", "random")
        assert worst["difference"] == pytest.approx(1 / CLASSES - np.mean(hit))
        assert worst["ci95"][1] < -0.5
        assert worst["draws_above"] == hit.count(1)

    def test_every_row_is_what_a_loop_finds_that_removes_units_by_hand(self, found):
        runner, results = Linear(noise=1), results_of()
        labels = np.array([int(clip.label) for clip in CLIPS])
        fed = feeds(*zip(*(plain(clip, runner.inputs) for clip in CLIPS), strict=True))
        checked = set()
        for row in found.rows:
            units = stored_scores((u for u in results.units if u["layer"] == row["layer"]), 0.5, "pearson")
            how = {"method": row["ranking"]} if row["ranking"] in ("random", "least") else {"factor": row["ranking"]}
            mask = removal_mask(units, fraction=row["fraction"], seed=row["seed"] or 0, **how)
            assert row["removed"] == (mask == 0).sum()
            order = np.argsort(-runner.run(fed, {"late": mask})["logits"], axis=1, kind="stable")
            right = (order == labels[:, None]).argmax(axis=1)
            assert row["score"] == "top1"
            assert row["mean"] == pytest.approx((right < 1).mean(), abs=1e-12)
            checked.add((row["layer"], row["ranking"], row["fraction"], row["seed"]))
        assert len(checked) == len(found.rows)
        assert len({place[:3] for place in checked}) == 2 * 4 * 3

    def test_curves_and_differences_are_those_of_the_rows(self, found):
        means = {}
        for row in found.rows:
            means.setdefault((row["layer"], row["ranking"], row["fraction"]), []).append(row["mean"])
        for (layer, ranking, fraction), draws in means.items():
            point = curve(found, ranking, fraction, layer=layer)
            assert point["mean"] == pytest.approx(np.mean(draws))
            assert (point["lowest"], point["highest"]) == (min(draws), max(draws))
            assert point["draws"] == len(draws)
        assert len(found.differences) == 2 * 2 * 2 * 2
        for row in found.differences:
            ours, theirs = (means[row["layer"], name, row["fraction"]] for name in (row["factor"], row["against"]))
            assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
            every = theirs * (found.repeats // len(theirs))  # one stands for all where they agree
            assert row["draws_above"] == sum(mean > np.mean(ours) + 1e-9 for mean in every)
            low, high = row["ci95"]
            assert low <= row["difference"] <= high
        for row in found.overall:
            both = [
                d["difference"]
                for d in found.differences
                if all(d[key] == row[key] for key in ("layer", "factor", "against", "score"))
            ]
            assert row["difference"] == pytest.approx(np.mean(both))

    def test_intervals_are_paired_by_clip(self):
        """Without units every clip loses the same, so there is no doubt how much, however the clips differ."""

        def score(outputs, clips):
            return [hash_of(clip.id) - (outputs["logits"][0].sum() == 0) for clip in clips]

        def hash_of(name):
            return int(name[-3:]) ** 2

        class Gone(Linear):
            def run(self, fed, masks=None):
                gone = masks and masks["late"][SIGNAL] == 0
                return {"logits": np.full((len(fed["rgb"]), 2), 0.0 if gone else 1.0)}

        found = quickly(Gone(), score=score, fractions=[0.05], repeats=2, seed=3)
        row = next(r for r in found.differences if (r["factor"], r["against"]) == ("dynamic", "random"))
        assert row["difference"] == pytest.approx(-1)
        assert row["ci95"] == pytest.approx([-1, -1])
        low, high = curve(found, "dynamic", 0.05, "score")["ci95"]
        assert high - low > 100

    def test_shares_end_at_0_and_1_and_few_groups_give_no_interval(self, found):
        ends = [end for point in found.curves for end in point["ci95"]]
        assert min(ends) >= 0
        assert max(ends) <= 1
        few = quickly(clips=clips_of(12, videos=2))
        assert all(point["ci95"] == [None, None] for point in [*few.curves, *few.differences, *few.overall])

    def test_clips_are_dealt_to_groups_by_their_video(self):
        found = quickly(fractions=[0.5])
        groups = np.array([group_of(clip.video) for clip in CLIPS])
        point = curve(found, "static", 0.5)
        assert len(set(groups)) >= 5
        assert point["ci95"][0] < point["mean"] < point["ci95"][1]
        alone = quickly(clips=[replace(clip, video=clip.id) for clip in CLIPS], fractions=[0.5])
        assert curve(alone, "static", 0.5)["mean"] == pytest.approx(point["mean"])
        assert curve(alone, "static", 0.5)["ci95"] != point["ci95"]


class TestPlan:
    def test_a_seed_breaks_ties_and_nothing_else(self):
        results = results_of()
        assert {r["seed"] for r in quickly(results=results).rows if r["ranking"] == "static"} == {None}
        for unit in results.units[UNITS:]:
            unit["static"] = unit["dynamic"] = 0.4
        found = quickly(results=results, fractions=[0.5, 1], seed=5)
        seeds = {f: {r["seed"] for r in found.rows if r["fraction"] == f} for f in (0, 0.5, 1)}
        assert seeds == {0: {None}, 0.5: {5, 6, 7}, 1: {None}}

    @pytest.mark.parametrize("by", ["softmax", "score"])
    def test_units_are_ranked_as_asked(self, by):
        units = stored_scores([u for u in results_of().units if u["layer"] == "late"], 0.5, "pearson")
        plan = plan_removals({"late": units}, factors=["static"], fractions=[0.5], repeats=1, by=by)
        scores = units.scores["static"]
        if by == "softmax":
            scores = np.exp(scores) / (np.exp(scores) + np.exp(units.scores["dynamic"]) + np.e)
        (top,) = (plan.masks[r.mask]["late"] for r in plan.removals if r.ranking == "static")
        assert set(np.flatnonzero(top == 0)) == set(np.argsort(scores)[UNITS // 2 :])

    def test_each_distinct_mask_is_in_the_plan_once(self):
        units = stored_scores([u for u in results_of().units if u["layer"] == "late"], 0.5, "pearson")
        plan = plan_removals({"late": units}, factors=["static"], fractions=[0, 0.5, 1], repeats=4)
        assert plan.masks[0] == {}
        distinct = {mask["late"].tobytes() for mask in plan.masks[1:]}
        assert len(distinct) == len(plan.masks) - 1 == 1 + 4 + 4 + 1
        for removal in plan.removals:
            removed = plan.masks[removal.mask].get("late", np.ones(UNITS)) == 0
            assert removed.sum() == removal.removed == removal.fraction * UNITS

    def test_scores_are_those_of_the_run_to_the_last_bit(self, tmp_path):
        results = run(units=UNITS, dead=1)
        loaded = Results.load(results.save(tmp_path))
        assert loaded.units == results.units
        assert loaded.units_sha256 == results.units_sha256
        scores = stored_scores(loaded.units[:UNITS], 0.5, "pearson").scores["static"]
        assert np.isnan(scores[UNITS - 1])
        assert scores[5] == results.units[5]["static"]


class TestWork:
    def test_clips_are_decoded_once_and_run_once_per_mask(self):
        decoded = []

        def counted(clip):
            return replace(clip, load=lambda: decoded.append(clip.id) or clip.load())

        runner = Linear(noise=1)
        quickly(runner, [counted(clip) for clip in CLIPS], batch=1, fractions=[0, 0.5], repeats=2)
        assert sorted(decoded) == [clip.id for clip in CLIPS]
        assert len(runner.runs) == len(CLIPS) * (1 + 2 + 2 + 2)
        assert sum(masks == {} for masks in runner.runs) == len(CLIPS)

    @pytest.mark.parametrize("batch", [1, 3, 16])
    def test_the_batch_and_the_order_of_the_clips_change_no_number(self, found, batch):
        again = quickly(clips=CLIPS[::-1], batch=batch, layers=["early", "late"])
        assert [row["batch"] for row in again.ran_on] == [batch]
        assert replace(again, ran_on=found.ran_on) == found

    def test_an_interrupted_ablation_resumes_to_the_same_bits(self, tmp_path):
        whole = quickly(out=tmp_path / "whole")
        runner = Linear(noise=1)
        stop = runner.run

        def interrupted(fed, masks=None):
            if len(runner.runs) > 100:
                raise KeyboardInterrupt
            return stop(fed, masks)

        runner.run = interrupted
        with pytest.raises(KeyboardInterrupt):
            quickly(runner, out=tmp_path / "stopped")
        (folder,) = (tmp_path / "stopped" / "ablation").iterdir()
        finished = sorted(folder.glob("*.npz"))
        assert finished
        assert not (tmp_path / "stopped" / "ablation.json").exists()
        (folder / finished[0].name).write_bytes(b"half a file")
        rest = Linear(noise=1)
        quickly(rest, out=tmp_path / "stopped")
        assert 0 < len(rest.runs) < len(CLIPS) * 20 - 100
        for name in ("ablation.json", "ablation.csv"):
            assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert Ablation.load(tmp_path / "stopped") == whole
        again = Linear(noise=1)
        quickly(again, out=tmp_path / "stopped")
        assert again.runs == []

    @pytest.mark.parametrize("change", [{"fractions": (0.1, 0.6)}, {"seed": 1}, {"layers": ["early"]}, {"results": 1}])
    def test_other_settings_are_computed_in_a_folder_of_their_own(self, tmp_path, change):
        quickly(out=tmp_path)
        runner = Linear(noise=1)
        change = {key: results_of(seed=value) if key == "results" else value for key, value in change.items()}
        assert quickly(runner, out=tmp_path, **change) == quickly(**change)
        assert runner.runs
        assert len(list((tmp_path / "ablation").iterdir())) == 2

    def test_the_same_names_counted_from_one_are_another_ablation(self, tmp_path):
        clips = [replace(clip, label=str(int(clip.label) % (CLASSES - 1) + 1)) for clip in CLIPS]
        pairs = [(f"class {number}", number) for number in range(CLASSES)]
        with pytest.warns(Note, match="numbers from 1"):
            quickly(clips=clips, classes=Classes(pairs), out=tmp_path)
        from_one = Classes([(name, number + 1) for name, number in pairs], first=1)
        assert quickly(clips=clips, classes=from_one, out=tmp_path) == quickly(clips=clips, classes=from_one)

    @pytest.mark.parametrize("values", [np.float64(0), np.zeros(3), np.zeros((2, 1, 1)), "text"])
    def test_a_part_of_another_shape_is_computed_again(self, tmp_path, values):
        whole = quickly(out=tmp_path)
        (folder,) = (tmp_path / "ablation").iterdir()
        part = min(folder.glob("*.npz"))
        header, _ = load_npz(part)
        save_npz(part, header, {"values": np.asarray(values)})
        assert quickly(out=tmp_path) == whole

    def test_another_batch_resumes_instead_of_starting_again(self, tmp_path):
        whole = quickly(out=tmp_path, batch=6)
        (folder,) = (tmp_path / "ablation").iterdir()
        parts = sorted(folder.glob("*.npz"))
        for path in parts[:3]:
            path.unlink()
        runner = Linear(noise=1)
        resumed = quickly(runner, out=tmp_path, batch=5)
        assert 0 < len(runner.runs) < len(CLIPS) * 20
        assert {row["batch"]: row["shards"] for row in resumed.ran_on} == {5: 3, 6: len(parts) - 3}
        assert replace(resumed, ran_on=whole.ran_on) == whole
        assert list((tmp_path / "ablation").iterdir()) == [folder]

    def test_a_part_of_another_ablation_is_never_merged(self, tmp_path):
        for name, seed in (("one", 0), ("other", 1)):
            quickly(out=tmp_path / name, results=results_of(seed=seed))
        (mine,), (theirs,) = ((tmp_path / name / "ablation").glob("*") for name in ("one", "other"))
        path = sorted(mine.glob("*.npz"))[1]
        shutil.copy(theirs / path.name, path)
        with pytest.raises(InputError, match=rf"{path.name} belongs to another run .*remove it"):
            quickly(out=tmp_path / "one")

    def test_clips_that_cannot_be_decoded_are_listed_and_change_nothing(self, found):
        broken = [replace(broken_clip(name), label="1") for name in ("b-one", "b-two")]
        again = quickly(clips=[*CLIPS, *broken], layers=["early", "late"])
        assert {row["id"]: row["reason"] for row in again.clips["skipped"]} == dict.fromkeys(
            ("b-one", "b-two"), "the file is damaged; remove it"
        )
        assert again.clips["used"] == len(CLIPS)
        assert again.curves == found.curves

    def test_default_fractions_and_layer(self):
        results = results_of()
        late = {f: np.mean([unit[f] for unit in results.units[UNITS:]]) for f in ("dynamic", "static")}
        found = quickly(results=results, fractions=FRACTIONS, repeats=1)
        assert found.layers == [{"name": "late", "units": UNITS, "dominant": max(late, key=late.get)}]
        assert sorted({row["fraction"] for row in found.rows}) == list(FRACTIONS)
