"""A run stops when it is sure enough, at the same place however it is computed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shards import slices
from sdmetrics.analysis.until import LEAST_ROUNDS, WIDENING, Until, stopped_in_words
from sdmetrics.comparison.paired import load_groups, unpaired_reason
from sdmetrics.errors import InputError
from tests.analysis.parallel.test_executors import HereExecutor
from tests.helpers.fakes import NumpyRunner, changes, colours
from tests.helpers.sources import NumpySource, noise

CLIPS = [noise(number) for number in range(400)]
POINTS = 1.0
"""What they reach after more than the least number of rounds, with few of them."""


def run(until=POINTS, clips=CLIPS, **more):
    return measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips, until=until, **more)


@pytest.fixture(scope="module")
def stopped():
    return run()


def halves(results):
    """The half widths of all percents' intervals."""
    return [(high - low) / 2 for row in results.layers for low, high in row["ci95"]["percent"].values()]


def sure_by_hand(results, points, units=None):
    """The rule, from the rows of a run without a goal over the clips of some rounds."""
    for row in results.layers:
        for name, (low, high) in row["ci95"]["percent"].items():
            if low is None:
                return False
            value = row["percent"][name]
            low, high = max(0, value - WIDENING * (value - low)), min(100, value + WIDENING * (high - value))
            if (high - low) / 2 > points:
                return False
        if units is not None:
            rows = [unit for unit in results.units if unit["layer"] == row["name"]]
            open_ = 0
            for unit in rows:
                for factor in ("dynamic", "static"):
                    value, low, high = (unit[f"{factor}{end}"] for end in ("", "_low", "_high"))
                    if value is not None and (
                        low is None
                        or value - WIDENING * (value - low) <= results.threshold <= value + WIDENING * (high - value)
                    ):
                        open_ += 1
                        break
            if 100 * open_ / len(rows) > units:
                return False
    return True


@pytest.mark.parametrize(("points", "units"), [(POINTS, None), (50.0, 60.0)])
def test_it_stops_after_the_first_round_for_which_the_rule_holds(points, units):
    results = run(Until(points, units), threshold=0.2)
    cut = slices(CLIPS)
    for rounds in range(LEAST_ROUNDS, cut[-1].index + 2):
        used = [clip for piece in cut if piece.index < rounds for clip in piece.clips]
        if sure_by_hand(run(None, used, threshold=0.2), points, units):
            break
    else:
        pytest.fail("the rule never holds")
    assert results.stopped == {
        "after_rounds": rounds,
        "of_rounds": cut[-1].index + 1,
        "clips": len(used),
        "of_clips": len(CLIPS),
        "until": points,
        "until_units": units,
        "reached": True,
        "widening": WIDENING,
    }
    assert results.clips["used"] == len(used) < len(CLIPS)
    assert max(halves(results)) <= points


def test_never_before_five_rounds():
    results = run(50)
    assert results.stopped["after_rounds"] == LEAST_ROUNDS == 5
    assert results.clips["used"] == sum(len(piece.clips) for piece in slices(CLIPS) if piece.index < LEAST_ROUNDS)


def test_more_units_that_may_change_class_is_sooner_sure():
    rounds = [run(Until(50, units), threshold=0.2).stopped["after_rounds"] for units in (100, 60, 0)]
    assert rounds == sorted(rounds)
    assert rounds[0] < rounds[-1]


def test_neither_order_nor_batch_nor_executor_decides_where_it_stops(stopped, tmp_path):
    assert stopped.stopped["after_rounds"] > LEAST_ROUNDS
    mixed = random.Random(0).sample(CLIPS, len(CLIPS))
    assert run(clips=mixed) == stopped
    assert run(batch=30).stopped == stopped.stopped
    pool = HereExecutor()
    assert measure_biases(RemoteModel(NumpySource(tmp_path / "log"), pool), CLIPS, until=POINTS) == stopped


def test_later_shards_of_a_longer_run_are_left_out_and_a_run_goes_on_from_a_stopped_one(stopped, tmp_path):
    long, short = tmp_path / "long", tmp_path / "short"
    whole = run(None, out=long)
    assert whole.stopped is None
    assert run(out=short) == stopped == run(out=long) == Results.load(long)
    shards = {path.name: path.stat().st_mtime_ns for path in (short / "shards").glob("*.npz")}
    assert len(shards) < len([*(long / "shards").glob("*.npz")])
    assert run(None, out=short) == whole
    again = {path.name: path.stat().st_mtime_ns for path in (short / "shards").glob("*.npz")}
    assert {name: again[name] for name in shards} == shards


def test_an_interrupted_run_stops_at_the_same_place(stopped, tmp_path):
    run(out=tmp_path)
    for path in sorted((tmp_path / "shards").glob("*.npz"))[::3]:
        path.unlink()
    assert run(out=tmp_path) == stopped


def test_a_run_that_is_never_sure_uses_all_clips_and_says_so():
    results = run(0.01, CLIPS[:150])
    assert results.stopped["reached"] is False
    assert results.clips["used"] == results.stopped["clips"] == results.stopped["of_clips"] == 150
    assert results.layers == run(None, CLIPS[:150]).layers
    assert "All 150 clips were used: they are not enough" in stopped_in_words(results.stopped)


def test_clips_of_few_videos_have_no_interval_and_are_never_sure():
    few = [noise(number) for number in range(12)]
    same = [type(clip)(clip.id, clip.load, video="one") for clip in few]
    assert run(50, same).stopped["reached"] is False


def test_intervals_of_a_stopped_run_are_widened(stopped):
    used = [clip for piece in slices(CLIPS) if piece.index < stopped.stopped["after_rounds"] for clip in piece.clips]
    plain = run(None, used)
    for wide, bare in zip(stopped.layers, plain.layers, strict=True):
        assert wide["percent"] == bare["percent"]
    np.testing.assert_allclose(halves(stopped), np.multiply(halves(plain), WIDENING))


def test_a_compared_run_is_paired_with_runs_of_the_same_clips(stopped, tmp_path):
    run(None, out=tmp_path)
    one, whole = run(out=tmp_path), run(None)
    assert unpaired_reason(one, stopped) == ""
    assert unpaired_reason(one, whole) == "stopped after other rounds"
    groups = load_groups(tmp_path, one)
    assert sum(shard["colours"]["static"].n for group in groups for shard in group) == one.clips["used"]


def test_results_are_saved_and_loaded(stopped, tmp_path: Path):
    run(out=tmp_path)
    assert Results.load(tmp_path) == stopped


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (0, "until is 0; expected: 0.01 to 50"),
        (float("nan"), "until is nan; expected: 0.01 to 50"),
        ("1", "until is '1'; expected: 0.01 to 50"),
        (True, "until is True; expected: 0.01 to 50"),
    ],
)
def test_a_goal_is_checked(until, message):
    with pytest.raises(InputError, match=message):
        run(until)
    with pytest.raises(InputError, match="until_units is 101; expected: 0 to 100"):
        Until(1, 101)
